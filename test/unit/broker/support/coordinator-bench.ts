import { GroupCoordinator } from '../../../../src/broker/group-coordinator.js';
import type {
  GroupHeartbeatRequest,
  JoinGroupRequest,
  ParticipateResponse,
  Participation,
} from '../../../../src/broker/group-types.js';
import type {
  ProposalObserver,
  ProposeOutcome,
  RaftGroup,
} from '../../../../src/host/raft-group.js';
import { compileRe2 } from '../../../../src/main/re2-expressions.js';
import { applyCommand } from '../../../../src/metadata/apply.js';
import { BUILT_IN_ASSIGNORS } from '../../../../src/metadata/assignors/assignors.js';
import { decodeCommand } from '../../../../src/metadata/command-codec.js';
import type { GroupEvent } from '../../../../src/metadata/group-event.js';
import type { BrokerError } from '../../../../src/model/errors.js';
import { brokerId, logIndex, term } from '../../../../src/model/ids.js';
import { FakeWorld } from '../../host/support/fake-world.js';
import { testTelemetry, type LogLine } from '../../host/support/test-cluster.js';
import { GroupLog } from '../../metadata/group-support.js';

/** A member's stream as a test writes to it. */
export interface BenchStream {
  readonly participation: Participation;
  readonly responses: ParticipateResponse[];
  error: BrokerError | undefined;
  isEnded: boolean;
  /** Nothing can be sent on it. */
  isBroken: boolean;
}

interface Proposal {
  readonly payload: Uint8Array;
  readonly observer: ProposalObserver;
}

/** Short enough for a test to live through. */
export const GROUP_RETENTION_MS = 60_000;

/** One coordinator on metadata of its own; the test decides what becomes of each proposal. */
export class CoordinatorBench {
  readonly world = new FakeWorld();
  readonly lines: LogLine[] = [];
  readonly metrics = new Map<string, number>();
  readonly log: GroupLog;
  readonly coordinator: GroupCoordinator;
  /** Events that were proposed, whatever became of them. */
  readonly proposed: GroupEvent[] = [];
  /** What becomes of proposals: applied, failed, or held until {@link letGo}. */
  outcome: 'applied' | 'failed' | 'held' = 'applied';
  #held: Proposal[] = [];

  constructor(partitions: Readonly<Record<string, number>> = { a: 4 }) {
    this.log = new GroupLog(partitions);
    const telemetry = testTelemetry(this.lines, this.metrics);
    this.coordinator = new GroupCoordinator({
      self: brokerId(1),
      world: this.world,
      state: this.log.state,
      log: telemetry.log,
      metrics: telemetry.metrics,
      groupRetentionMs: GROUP_RETENTION_MS,
      assignors: BUILT_IN_ASSIGNORS,
      compileExpression: compileRe2,
      hint: () => undefined,
    });
    this.log.state.takeDelta();
    this.log.state.consumerGroups.takeChanged();
  }

  activate(): void {
    const group: Pick<RaftGroup, 'isLeaderReady' | 'propose'> = {
      isLeaderReady: () => true,
      propose: ({ payload }, observer) => this.#propose({ payload, observer }),
    };
    this.coordinator.activate(group as RaftGroup);
  }

  open(): BenchStream {
    const responses: ParticipateResponse[] = [];
    const participation = this.coordinator.participate(
      {
        send: (response) => {
          if (stream.isBroken) throw new Error('broken stream');
          responses.push(response);
          return true;
        },
        end: (error) => {
          stream.error = error;
          stream.isEnded = true;
        },
      },
      'test',
    );
    const stream: BenchStream = {
      participation,
      responses,
      error: undefined,
      isEnded: false,
      isBroken: false,
    };
    return stream;
  }

  async join(memberId: string, changes: Partial<JoinGroupRequest> = {}): Promise<BenchStream> {
    const stream = this.open();
    stream.participation.request({
      kind: 'join',
      sequence: 1,
      group: 'workers',
      memberId,
      memberEpoch: 0,
      owned: [],
      instanceId: '',
      rack: '',
      clientId: '',
      subscription: { topics: ['a'], pattern: '' },
      assignor: '',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      ...changes,
    });
    await this.world.settle();
    return stream;
  }

  async heartbeat(
    { participation, responses }: BenchStream,
    changes: Partial<GroupHeartbeatRequest> = {},
  ): Promise<void> {
    participation.request({
      kind: 'heartbeat',
      sequence: 2,
      memberEpoch: responses.at(-1)?.memberEpoch ?? 0,
      assignmentVersion: 0,
      owned: undefined,
      subscription: undefined,
      assignor: undefined,
      rack: undefined,
      ...changes,
    });
    await this.world.settle();
  }

  /** Settles what was held. */
  async letGo(outcome: 'applied' | 'failed'): Promise<void> {
    const held = this.#held;
    this.#held = [];
    for (const one of held) this.#settle(one, outcome);
    await this.world.settle();
  }

  /** Applies what was held as one run of entries, after which the coordinator is told once. */
  async letGoTogether(): Promise<void> {
    const held = this.#held;
    this.#held = [];
    for (const one of held) this.#apply(one);
    this.published();
    await this.world.settle();
  }

  /** As the broker does after every run of applied entries. */
  published(): void {
    const delta = this.log.state.takeDelta();
    if (delta !== undefined) this.coordinator.topicsChanged(delta);
    this.coordinator.groupsChanged(this.log.state.consumerGroups.takeChanged());
  }

  #propose(proposal: Proposal): ProposeOutcome {
    const command = decodeCommand(proposal.payload);
    if (command.kind === 'groupEvents') this.proposed.push(...command.events);
    if (this.outcome === 'held') this.#held.push(proposal);
    else this.#settle(proposal, this.outcome);
    const id = { index: logIndex(this.log.state.version), term: term(1) };
    return { accepted: true, id, timeMs: 0 };
  }

  #settle(proposal: Proposal, outcome: 'applied' | 'failed'): void {
    if (outcome === 'failed') {
      this.world.timers.defer(() => proposal.observer.failed());
      return;
    }
    this.#apply(proposal);
    this.published();
  }

  #apply({ payload, observer }: Proposal): void {
    const { state } = this.log;
    const index = logIndex(state.version + 1);
    const result = applyCommand(state, decodeCommand(payload), { index, timeMs: 0 });
    state.version = index;
    observer.committed(result, { index, term: term(1) });
  }
}
