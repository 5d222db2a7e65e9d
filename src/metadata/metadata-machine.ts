import { invariant, unreachable } from '../base/assert.js';
import type { LogIndex } from '../model/ids.js';
import type { LogEntry } from '../model/log-entry.js';
import { applyCommand } from './apply.js';
import { decodeCommand } from './command-codec.js';
import type { ApplyResult } from './command.js';
import { MetadataState } from './metadata-state.js';
import { decodeSnapshot, encodeSnapshot } from './snapshot-codec.js';

/**
 * The metadata group's state machine: entries in, state and results out. Fits ports' StateMachine.
 *
 * Invariant: entries come in order and once, so version is always the index of the last one.
 * A command that this version cannot read stops the replica: going on would make it differ.
 */
export class MetadataMachine {
  readonly state = new MetadataState();

  apply(entry: LogEntry): ApplyResult | undefined {
    invariant(entry.index > this.state.version, 'entries are applied once and in order', {
      index: entry.index,
      version: this.state.version,
    });
    const result = this.applyByKind(entry);
    this.state.version = entry.index;
    return result;
  }

  encode(): Uint8Array {
    return encodeSnapshot(this.state.freeze());
  }

  restore(state: Uint8Array | undefined, index: LogIndex): void {
    this.state.clear();
    if (state !== undefined) decodeSnapshot(state, this.state);
    this.state.version = index;
  }

  private applyByKind(entry: LogEntry): ApplyResult | undefined {
    switch (entry.kind) {
      case 'command':
        return applyCommand(this.state, decodeCommand(entry.payload), entry);
      case 'membership':
      case 'noop':
        return undefined;
      case 'batch':
        invariant(false, 'the metadata log holds no record batches', { index: entry.index });
        return undefined;
      default:
        return unreachable(entry.kind);
    }
  }
}
