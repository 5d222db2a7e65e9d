/**
 * `npm run docs [-- --check]`: writes the reference to docs/api: a page for each export of the package, from
 * the comments in src/, and one for the protocol, from those in proto/. Fails on what has no
 * comment, on links that lead nowhere, and on types that are used and not exported. With --check it
 * writes nothing.
 */
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { Application } from 'typedoc';
import { protocolPage } from './lib/protocol-page.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const OUT = path.join(ROOT, 'docs/api');
const PROTOS = path.join(ROOT, 'proto');
const isCheck = process.argv.includes('--check');

const app = await Application.bootstrapWithPlugins({ options: path.join(ROOT, 'typedoc.json') });
const project = await app.convert();
if (project === undefined) process.exit(1);
app.validate(project);
if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1);

const files = readdirSync(PROTOS, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.proto') && !file.includes('peer'))
  .sort();
const page = protocolPage(
  files.map((file) => ({ file, text: readFileSync(path.join(PROTOS, file), 'utf8') })),
);
if (page.undocumented.length > 0) {
  process.stderr.write(`without a comment:\n${page.undocumented.join('\n')}\n`);
  process.exit(1);
}
if (!isCheck) {
  await app.generateOutputs(project);
  writeFileSync(path.join(OUT, 'protocol.md'), page.markdown);
  appendFileSync(path.join(OUT, 'README.md'), '\n## Protocol\n\n- [proto/](protocol.md)\n');
}
