import { invariant } from '../base/assert.js';
import type { RaftGroup } from '../host/raft-group.js';
import { encodeCommand } from '../metadata/command-codec.js';
import type { ApplyResult, Command, Rejection } from '../metadata/command.js';
import { BrokerError, type LeaderHint } from '../model/errors.js';
import type { LogIndex } from '../model/ids.js';

export interface AppliedCommand {
  readonly result: Exclude<ApplyResult, Rejection>;
  readonly index: LogIndex;
  readonly timeMs: number;
}

export function raise(rejection: Rejection): never {
  throw new BrokerError(rejection.code, rejection.message);
}

export function notController(leader: LeaderHint | undefined): BrokerError {
  return leader === undefined
    ? new BrokerError('LEADER_UNKNOWN', 'no leader of the metadata group is known')
    : new BrokerError('NOT_LEADER', `broker ${leader.brokerId} leads the metadata group`, {
        leader,
      });
}

/** The change was made, and the topic went after it. */
export function deletedMeanwhile(): BrokerError {
  return new BrokerError('UNKNOWN_TOPIC', 'the topic was deleted meanwhile', {
    outcome: 'unknown',
  });
}

/** Resolves once the command is committed and applied here; a rejection by the state is thrown. */
export function proposeCommand(
  group: RaftGroup,
  command: Command,
  hint: () => LeaderHint | undefined,
): Promise<AppliedCommand> {
  return new Promise((resolve, reject) => {
    let timeMs = 0;
    const outcome = group.propose(
      { kind: 'command', payload: encodeCommand(command) },
      {
        committed(result, id) {
          invariant(isApplyResult(result), 'a command of the metadata log has a result');
          if (result.kind === 'rejected') {
            reject(new BrokerError(result.code, result.message));
            return;
          }
          // Read after propose returned: a group of one may commit before it does.
          queueResult(() => resolve({ result, index: id.index, timeMs }));
        },
        failed() {
          reject(
            new BrokerError('UNKNOWN_OUTCOME', 'metadata leadership was lost before the commit'),
          );
        },
      },
    );
    if (outcome.accepted) timeMs = outcome.timeMs;
    else if (outcome.reason === 'tailFull') {
      reject(new BrokerError('THROTTLED', 'too much metadata waits for a quorum'));
    } else reject(notController(hint()));
  });
}

function queueResult(run: () => void): void {
  void Promise.resolve().then(run);
}

function isApplyResult(result: unknown): result is ApplyResult {
  return typeof result === 'object' && result !== null && 'kind' in result;
}
