/**
 * A broker as a process of its own, configured by its environment, as the command line starts it. It
 * ends by itself once nothing is left open.
 */
import { loadConfig } from '../../src/config/load.js';
import { runBroker } from '../../src/main/run-broker.js';

try {
  await runBroker(loadConfig({ env: process.env }));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
