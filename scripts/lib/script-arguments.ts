import { parseArgs, type ParseArgsConfig } from 'node:util';

const EXIT_USAGE = 2;

/** What a script was asked for; ends the process with a line that names the option that makes no sense. */
export function scriptArguments<T extends ParseArgsConfig>(
  config: T,
  usage = '',
): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    const { message } = error as Error;
    // What follows the first sentence tells how to pass the option on as if it were none.
    process.stderr.write(`${message.split('. ')[0] ?? message}\n${usage}`);
    return process.exit(EXIT_USAGE);
  }
}
