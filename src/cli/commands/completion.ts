import { Argument, type Command } from 'commander';
import { SCRIPTS, SHELLS, type Shell } from '../completion.js';
import { Output, type Io } from '../io.js';
import { command } from '../options.js';

/** millrace completion bash|zsh|fish */
export function completionCommand(io: Io): Command {
  return command('completion', 'print what makes a shell complete commands, options and names')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText(
      'after',
      '\nFor bash: source <(millrace completion bash); for zsh the same, behind compinit;\n' +
        'for fish: millrace completion fish | source',
    )
    .action((shell: Shell, options: { readonly json?: boolean }) => {
      const script = SCRIPTS[shell];
      new Output(io, options.json === true).result({ shell, script }, () => [script]);
    });
}
