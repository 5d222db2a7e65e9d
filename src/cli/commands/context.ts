import { Command } from 'commander';
import {
  bootstrapOfContext,
  checkContextName,
  readContexts,
  writeContexts,
  type Contexts,
} from '../contexts.js';
import { Output, table, type Io } from '../io.js';
import { checkedBootstrap, command } from '../options.js';

interface Options {
  readonly json?: boolean;
}

/** millrace context list|set|use|remove */
export function contextCommand(io: Io): Command {
  const group = new Command('context').description(
    'name clusters, and choose the one that commands ask',
  );
  group.addCommand(
    command('list', 'list contexts; the one in use is marked').action((options: Options) => {
      show(io, options, readContexts(io));
    }),
  );
  group.addCommand(
    command('set', 'name the brokers of a cluster; the first context is in use at once')
      .argument('<context>', 'its name')
      .requiredOption('--bootstrap <host:port,...>', 'brokers to ask first')
      .action((name: string, options: Options & { readonly bootstrap: string }) => {
        checkContextName(name);
        const before = readContexts(io);
        const bootstraps = new Map(before.bootstraps).set(
          name,
          checkedBootstrap(options.bootstrap),
        );
        save(io, options, { current: before.current ?? name, bootstraps });
      }),
  );
  group.addCommand(
    command('use', 'ask this cluster from now on, where a command names none')
      .argument('<context>', 'its name')
      .action((name: string, options: Options) => {
        const before = readContexts(io);
        bootstrapOfContext(before, name);
        save(io, options, { ...before, current: name });
      }),
  );
  group.addCommand(
    command('remove', 'forget a context')
      .argument('<context>', 'its name')
      .action((name: string, options: Options) => {
        const before = readContexts(io);
        bootstrapOfContext(before, name);
        const bootstraps = new Map(before.bootstraps);
        bootstraps.delete(name);
        save(io, options, {
          current: before.current === name ? undefined : before.current,
          bootstraps,
        });
      }),
  );
  return group;
}

function save(io: Io, options: Options, contexts: Contexts): void {
  writeContexts(io, contexts);
  show(io, options, contexts);
}

function show(io: Io, options: Options, { current, bootstraps }: Contexts): void {
  const list = [...bootstraps].map(([name, bootstrap]) => {
    return { context: name, bootstrap, inUse: name === current };
  });
  new Output(io, options.json === true).result(list, () =>
    list.length === 0
      ? ['no contexts']
      : table(
          ['', 'context', 'bootstrap'],
          list.map((each) => [each.inUse ? '*' : '', each.context, each.bootstrap]),
        ),
  );
}
