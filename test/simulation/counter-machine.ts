import { ByteReader, ByteWriter } from '../../src/base/bytes.js';
import type { LogIndex } from '../../src/model/ids.js';
import type { LogEntry } from '../../src/model/log-entry.js';
import type { StateMachine } from '../../src/ports/state-machine.js';
import { TraceHash } from './trace.js';

/** The state after an entry: how many commands, and a hash of them in their order. */
interface CounterState {
  readonly commands: number;
  readonly hash: number;
}

const INITIAL: CounterState = { commands: 0, hash: 0 };

/**
 * The simplest state that shows a lost, repeated or reordered command. It remembers its past states,
 * so that a prefix can be truncated anywhere below what is applied.
 */
export class CounterMachine implements StateMachine {
  private index = 0;
  private state = INITIAL;
  private readonly past = new Map<number, CounterState>();

  get commands(): number {
    return this.state.commands;
  }

  apply(entry: LogEntry): number {
    if (entry.kind === 'command') {
      const hash = new TraceHash();
      hash.add(this.state.hash, entry.index, ...entry.payload);
      const { commands } = this.state;
      this.state = { commands: commands + 1, hash: Number.parseInt(hash.digest().slice(0, 8), 16) };
    }
    this.index = entry.index;
    this.past.set(entry.index, this.state);
    return this.state.commands;
  }

  encode(): Uint8Array {
    return encodeState(this.state);
  }

  /** The state as it was once `index` was applied. */
  encodeAt(index: number): Uint8Array | undefined {
    const state = index === this.index ? this.state : this.past.get(index);
    return state === undefined ? undefined : encodeState(state);
  }

  forgetBelow(index: number): void {
    for (const known of this.past.keys()) if (known < index) this.past.delete(known);
  }

  restore(state: Uint8Array | undefined, index: LogIndex): void {
    this.state = state === undefined ? INITIAL : decodeState(state);
    this.index = index;
    this.past.clear();
    this.past.set(index, this.state);
  }
}

function encodeState(state: CounterState): Uint8Array {
  const writer = new ByteWriter(16);
  writer.uvarint(state.commands);
  writer.uvarint(state.hash);
  return writer.finish();
}

function decodeState(bytes: Uint8Array): CounterState {
  const reader = new ByteReader(bytes);
  return { commands: reader.uvarint(), hash: reader.uvarint() };
}
