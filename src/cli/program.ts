import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { brokerCommand } from './commands/broker.js';
import { clusterCommands } from './commands/cluster.js';
import { completionCommand } from './commands/completion.js';
import { contextCommand } from './commands/context.js';
import { consumeCommand } from './commands/consume.js';
import { groupCommand } from './commands/group.js';
import { localCommand } from './commands/local.js';
import { logCommand } from './commands/log.js';
import { offsetsCommand } from './commands/offsets.js';
import { produceCommand } from './commands/produce.js';
import { topicCommand } from './commands/topic.js';
import { complete } from './completion.js';
import { EXIT_FAILED, EXIT_USAGE, UsageError, describeFailure, type Io } from './io.js';

/** What shells call while a command line is being written; the words of it follow. */
const COMPLETE = '__complete';

/** Runs one command line (without the program's name) and returns its exit code. Never rejects. */
export async function runCli(io: Io, args: readonly string[]): Promise<number> {
  const isJson = args.includes('--json');
  const program = createProgram(io, isJson);
  const [first, ...words] = args;
  if (first === COMPLETE) {
    await complete(io, program, words);
    return 0;
  }
  try {
    await program.parseAsync([...args], { from: 'user' });
    return 0;
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      // Help and version are answers, not errors; as text, commander has told of the others.
      if (thrown.exitCode === 0) return 0;
      if (isJson) io.stderr.write(`${describeFailure(usageErrorOf(thrown), true)}\n`);
      return EXIT_USAGE;
    }
    io.stderr.write(`${describeFailure(thrown, isJson)}\n`);
    return thrown instanceof UsageError ? EXIT_USAGE : EXIT_FAILED;
  }
}

function usageErrorOf(thrown: CommanderError): UsageError {
  const isHelp = thrown.code === 'commander.help';
  return new UsageError(
    isHelp ? 'a command is missing: see --help' : thrown.message.replace(/^error: /, ''),
  );
}

/** With `isJson`, commander's own texts about a wrong command line are left to the caller. */
export function createProgram(io: Io, isJson = false): Command {
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
    .addCommand(logCommand(io))
    .addCommand(contextCommand(io))
    .addCommand(completionCommand(io))
    .addHelpText(
      'after',
      '\nExit codes: 0 done; 1 asked for rightly, but it did not work out; 2 the command line is wrong.',
    );
  prepare(program, io, isJson);
  return program;
}

/** Commander's settings are not inherited by commands that were made apart. */
function prepare(command: Command, io: Io, isJson: boolean): void {
  command.exitOverride().showSuggestionAfterError(true);
  command.configureOutput({
    writeOut: (text) => void io.stdout.write(text),
    writeErr: (text) => {
      if (!isJson) io.stderr.write(text);
    },
    outputError: (text, write) => write(`millrace: ${text.replace(/^error: /, '')}`),
  });
  for (const sub of command.commands) prepare(sub, io, isJson);
}

function version(): string {
  const file = new URL('../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return version;
}
