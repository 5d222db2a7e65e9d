import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { brokerCommand } from './commands/broker.js';
import { clusterCommands } from './commands/cluster.js';
import { consumeCommand } from './commands/consume.js';
import { groupCommand } from './commands/group.js';
import { localCommand } from './commands/local.js';
import { logCommand } from './commands/log.js';
import { offsetsCommand } from './commands/offsets.js';
import { produceCommand } from './commands/produce.js';
import { topicCommand } from './commands/topic.js';
import { EXIT_FAILED, EXIT_USAGE, UsageError, describeFailure, type Io } from './io.js';

/** Runs one command line (without the program's name) and returns its exit code. Never rejects. */
export async function runCli(io: Io, args: readonly string[]): Promise<number> {
  const program = createProgram(io);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return 0;
  } catch (thrown) {
    // Help and version are answers, not errors; commander has told of the others.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : EXIT_USAGE;
    io.stderr.write(`${describeFailure(thrown, args.includes('--json'))}\n`);
    return thrown instanceof UsageError ? EXIT_USAGE : EXIT_FAILED;
  }
}

export function createProgram(io: Io): Command {
  const program = new Command('millrace')
    .description(
      'A replicated event log: topics and partitions, each partition its own Raft group.',
    )
    .version(version(), '-V, --version')
    .addCommand(brokerCommand(io))
    .addCommand(localCommand(io))
    .addCommand(topicCommand(io))
    .addCommand(produceCommand(io))
    .addCommand(consumeCommand(io))
    .addCommand(offsetsCommand(io))
    .addCommand(groupCommand(io))
    .addCommand(clusterCommands(io))
    .addCommand(logCommand(io));
  prepare(program, io);
  return program;
}

/** Commander's settings are not inherited by commands that were made apart. */
function prepare(command: Command, io: Io): void {
  command.exitOverride().showSuggestionAfterError(true);
  command.configureOutput({
    writeOut: (text) => void io.stdout.write(text),
    writeErr: (text) => void io.stderr.write(text),
    outputError: (text, write) => write(`millrace: ${text.replace(/^error: /, '')}`),
  });
  for (const sub of command.commands) prepare(sub, io);
}

function version(): string {
  const file = new URL('../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return version;
}
