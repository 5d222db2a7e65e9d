import { Command } from 'commander';
import { CONFIG_KEYS } from '../../config/keys.js';
import type { BrokerConfig } from '../../config/schema.js';
import { CommandError, UsageError, type Io } from '../io.js';

/** millrace broker */
export function brokerCommand(io: Io): Command {
  const broker = new Command('broker')
    .description('run one broker in this process, until it is asked to end')
    .option('--config <file>', 'settings in YAML or JSON (or MILLRACE_CONFIG)')
    .option('--json', 'accepted for uniformity: a broker logs JSON anyway');
  for (const key of CONFIG_KEYS) broker.option(`--${key} <value>`);
  return broker.action(async (options: Readonly<Record<string, string | undefined>>) => {
    const file = options['config'] ?? io.env['MILLRACE_CONFIG'];
    const flags = Object.fromEntries(CONFIG_KEYS.map((key) => [key, options[key]]));
    // Only a broker has settings to check, and what checks them takes its time to load.
    const { ConfigError, loadConfig } = await import('../../config/load.js');
    let config: BrokerConfig;
    try {
      config = loadConfig({ file, env: io.env, flags });
    } catch (thrown) {
      if (thrown instanceof ConfigError) throw new UsageError(thrown.message);
      throw thrown;
    }
    await run(config);
  });
}

/** Runs until told to end by a signal, or until the broker cannot go on. */
async function run(config: BrokerConfig): Promise<void> {
  // Only a broker needs LevelDB and the rest of the server: nobody else waits for them to load.
  const [{ StartError }, { runBroker }] = await Promise.all([
    import('../../main/start-broker.js'),
    import('../../main/run-broker.js'),
  ]);
  try {
    await runBroker(config);
  } catch (thrown) {
    if (thrown instanceof StartError) throw new CommandError(thrown.message, { cause: thrown });
    throw thrown;
  }
}
