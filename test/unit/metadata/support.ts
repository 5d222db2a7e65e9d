import { applyCommand } from '../../../src/metadata/apply.js';
import type { ApplyResult, BrokerRegistration, Command } from '../../../src/metadata/command.js';
import { encodeCommand } from '../../../src/metadata/command-codec.js';
import type { PartitionImage } from '../../../src/metadata/image.js';
import { MetadataMachine } from '../../../src/metadata/metadata-machine.js';
import { brokerId, logIndex, term, topicId, type BrokerId } from '../../../src/model/ids.js';

export const ids = (...numbers: number[]): BrokerId[] => numbers.map(brokerId);
export const TOPIC = topicId('00112233445566778899aabbccddeeff');
export const OTHER_TOPIC = topicId('ffeeddccbbaa99887766554433221100');
export const TIME_MS = 1_700_000_000_000;

export function registration(id: number, directoryId = `dir${id}`): BrokerRegistration {
  return {
    id: brokerId(id),
    directoryId,
    address: {
      host: `c${id}`,
      port: 7_400 + id,
      peerHost: `p${id}`,
      peerPort: 7_500 + id,
      httpPort: 7_600 + id,
    },
    rack: id % 2 === 0 ? 'even' : 'odd',
  };
}

export function createTopic(
  name: string,
  assignment: readonly (readonly number[])[],
  id = TOPIC,
): Command {
  return {
    kind: 'createTopic',
    topicId: id,
    name,
    assignment: assignment.map((replicas) => replicas.map(brokerId)),
    config: new Map(),
  };
}

export function addPartitions(
  from: number,
  assignment: readonly (readonly number[])[],
): Extract<Command, { kind: 'addPartitions' }> {
  const replicas = assignment.map((ids) => ids.map(brokerId));
  return { kind: 'addPartitions', topicId: TOPIC, from, assignment: replicas };
}

/** A machine with a log: commands get their indexes here. */
export class Log {
  readonly machine = new MetadataMachine();

  constructor(...brokers: number[]) {
    for (const id of brokers) {
      this.apply({ kind: 'registerBroker', registration: registration(id) });
    }
  }

  get state(): MetadataMachine['state'] {
    return this.machine.state;
  }

  apply(command: Command, timeMs = TIME_MS): ApplyResult | undefined {
    return this.machine.apply({
      index: logIndex(this.state.version + 1),
      term: term(1),
      kind: 'command',
      timeMs,
      payload: encodeCommand(command),
    });
  }

  /** The code of the rejection; undefined if it was applied. */
  refusal(command: Command): string | undefined {
    const result = applyCommand(this.state, command, {
      index: logIndex(this.state.version + 1),
      timeMs: TIME_MS,
    });
    return result.kind === 'rejected' ? result.code : undefined;
  }

  partition(name = 'logs', partition = 0): PartitionImage {
    const found = this.state.topicsByName.get(name)?.partitions[partition];
    if (found === undefined) throw new Error(`no ${name}-${partition}`);
    return found;
  }
}
