/**
 * `npm run bad-input [-- --json]`: gives three brokers everything that users, programs and strangers get
 * wrong, prints what each is answered, and checks after each that the cluster still serves. Fails if
 * an answer is unclear (an internal error, a stack trace, none within 15 s) or the cluster was harmed.
 * Runs what is in dist: `npm run build` first.
 */
import process from 'node:process';

import { scriptArguments } from '../lib/script-arguments.js';
import { ScriptCluster } from '../lib/script-cluster.js';
import { judge, type Row } from './case.js';
import { commandLines } from './commands.js';
import { directories } from './directories.js';
import { garbage } from './garbage.js';
import { groups } from './groups.js';
import { noQuorum } from './no-quorum.js';
import { Patient } from './patient.js';
import { records } from './records.js';
import { requests } from './requests.js';

async function main(): Promise<void> {
  const { values } = scriptArguments({ options: { json: { type: 'boolean', default: false } } });
  const patient = new Patient(await ScriptCluster.start({ brokers: 3 }));
  const rows: Row[] = [];
  try {
    await patient.prepare();
    const cases = [
      ...commandLines(patient),
      ...requests(patient),
      ...records(patient),
      ...groups(patient),
      ...garbage(patient),
      ...directories(patient),
      ...noQuorum(patient),
    ];
    for (const one of cases) {
      const row = await judge(patient, one);
      rows.push(row);
      if (values.json) continue;
      const mark = row.problem === undefined ? 'ok ' : 'BAD';
      const text = row.answer.replace(/x{50,}/g, 'xxx...').slice(0, 220);
      process.stdout.write(`${mark}  ${row.input.padEnd(50)}  ${text}\n`);
      if (row.problem !== undefined) process.stdout.write(`     ${row.problem}\n`);
    }
  } finally {
    await patient.close();
  }
  const bad = rows.filter((row) => row.problem !== undefined);
  if (values.json) process.stdout.write(`${JSON.stringify(rows)}\n`);
  else process.stdout.write(`${rows.length - bad.length} clear, ${bad.length} not\n`);
  process.exitCode = bad.length === 0 ? 0 : 1;
}

await main();
