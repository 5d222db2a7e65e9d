import type { MultiRaft, RaftGroup, RaftGroupOwner } from '../host/raft-group.js';
import { MetadataMachine } from '../metadata/metadata-machine.js';
import { encodeSlices } from '../metadata/snapshot-codec.js';
import { METADATA_GROUP, type BrokerId, type Term } from '../model/ids.js';
import { entryBytes, type LogEntry } from '../model/log-entry.js';
import { membershipOf, NO_MEMBERS } from '../model/membership.js';
import type { ReplicaSpec } from '../ports/log-store.js';
import type { StateMachine } from '../ports/state-machine.js';
import type { Logger } from '../ports/telemetry.js';
import type { World } from '../ports/world.js';
import { sleep } from './deadline.js';
import type { BrokerSettings } from './types.js';

/** Most founders that vote in the metadata group: an odd number, as one more would add nothing. */
const VOTERS_MAX = 5;
const TRUNCATE_RETRY_MS = 5_000;

type RoleChange = Parameters<RaftGroupOwner['roleChanged']>[0];

export interface MetadataReplicaDeps {
  readonly world: World;
  readonly settings: BrokerSettings;
  readonly log: Logger;
  /** A leader of the metadata group is known. */
  learn(leader: BrokerId, term: Term): void;
  /** This replica leads and is ready. */
  announce(term: Term): void;
  /** The applied index moved. */
  published(): void;
  becameController(group: RaftGroup, term: Term): void;
  lostController(): void;
}

/**
 * This broker's replica of the metadata group: owns its state machine, tells the controller when it
 * leads, and cuts the log when it has grown.
 *
 * Invariant: at most one truncation is under way, and its state is that of one applied index, frozen
 * before the first slice was encoded.
 */
export class MetadataReplica implements RaftGroupOwner {
  readonly #deps: MetadataReplicaDeps;
  readonly #source = new MetadataMachine();
  readonly machine: StateMachine;
  #group: RaftGroup | undefined;
  #readyTerm: Term | undefined;
  #bytesSinceCut = 0;
  #isCutting = false;
  /** Counts restores: a truncation that began before one is given up. */
  #life = 0;
  #isStopped = false;

  constructor(deps: MetadataReplicaDeps) {
    this.#deps = deps;
    const source = this.#source;
    this.machine = {
      apply: (entry: LogEntry) => {
        this.#bytesSinceCut += entryBytes(entry);
        return source.apply(entry);
      },
      encode: () => source.encode(),
      restore: (state, index) => {
        this.#life += 1;
        this.#bytesSinceCut = 0;
        source.restore(state, index);
      },
    };
  }

  get state(): MetadataMachine['state'] {
    return this.#source.state;
  }

  get group(): RaftGroup | undefined {
    return this.#group;
  }

  async open(multiRaft: MultiRaft, founders: readonly BrokerId[]): Promise<void> {
    this.#group = await multiRaft.open(metadataSpec(founders), this, {
      tellsCommitAtOnce: true,
    });
    // A group of one may be ready before its handle is here.
    if (this.#readyTerm !== undefined && this.#group.isLeaderReady()) {
      this.#deps.becameController(this.#group, this.#readyTerm);
    }
    this.#deps.published();
  }

  stop(): void {
    this.#isStopped = true;
  }

  roleChanged(change: RoleChange): void {
    if (change.leader !== undefined) {
      this.#deps.learn(change.leader, change.term);
    }
    if (change.role === 'leader' && change.term === this.#readyTerm) return;
    if (this.#readyTerm === undefined) return;
    this.#readyTerm = undefined;
    this.#deps.lostController();
  }

  leaderReady(term: Term): void {
    this.#readyTerm = term;
    this.#deps.announce(term);
    if (this.#group !== undefined) this.#deps.becameController(this.#group, term);
  }

  applied(): void {
    this.#deps.published();
    if (this.#isDue()) {
      this.#cut().catch((error: unknown) => {
        this.#deps.log.warn({ err: error }, 'cutting the metadata log failed');
      });
    }
  }

  fenced(reason: unknown): void {
    this.#deps.log.error({ err: reason }, 'the metadata replica stopped serving');
    this.#readyTerm = undefined;
    this.#deps.lostController();
  }

  #isDue(): boolean {
    const group = this.#group;
    if (group === undefined || this.#isCutting || this.#isStopped) return false;
    const { metadataLogBytesMax, metadataLogEntriesMax } = this.#deps.settings;
    const entries = this.state.version - group.firstIndex() + 1;
    return entries > metadataLogEntriesMax || this.#bytesSinceCut > metadataLogBytesMax;
  }

  async #cut(): Promise<void> {
    const group = this.#group;
    if (group === undefined) return;
    this.#isCutting = true;
    const life = this.#life;
    const { timers } = this.#deps.world;
    try {
      const frozen = this.state.freeze();
      this.#bytesSinceCut = 0;
      const slices = encodeSlices(frozen);
      let step = slices.next();
      while (step.done !== true) {
        await sleep(timers, 1);
        step = slices.next();
      }
      if (this.#life !== life || this.#isStopped) return;
      await group.truncatePrefix(frozen.version, step.value);
      this.#deps.log.info({ upTo: frozen.version }, 'cut the metadata log');
    } catch (error) {
      await sleep(timers, TRUNCATE_RETRY_MS);
      throw error;
    } finally {
      this.#isCutting = false;
    }
  }
}

/** The lowest founders, an odd number of them, vote; the others follow as learners. */
function metadataVoters(founders: readonly BrokerId[]): BrokerId[] {
  const ascending = [...founders].sort((a, b) => a - b);
  const odd = ascending.length - (ascending.length % 2 === 0 ? 1 : 0);
  return ascending.slice(0, Math.max(0, Math.min(VOTERS_MAX, odd)));
}

function metadataSpec(founders: readonly BrokerId[]): ReplicaSpec {
  const voters = metadataVoters(founders);
  const learners = founders.filter((id) => !voters.includes(id));
  return {
    groupId: METADATA_GROUP,
    topicId: undefined,
    topic: '',
    partition: 0,
    bootstrap: founders.length === 0 ? NO_MEMBERS : membershipOf(voters, learners),
  };
}
