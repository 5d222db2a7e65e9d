import process from 'node:process';
import { fill } from './fill-disk.js';

// Run by disk-full.test.ts, where no file may grow beyond some size: fills one up and says how that
// ended. So much memory that LevelDB's log meets the limit, before any of its tables is written.
const MEMORY = { memoryBudgetBytes: 512 * 1024 * 1024 };

// Otherwise the signal ends the process, instead of the write that went too far.
process.on('SIGXFSZ', () => undefined);
const filled = await fill(process.argv[2] ?? '', MEMORY, () => Promise.resolve());
process.stdout.write(JSON.stringify(filled));
