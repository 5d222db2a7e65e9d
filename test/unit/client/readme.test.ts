import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import ts from 'typescript';
import { ERRORS } from '../../../src/model/errors.js';

describe("the client's README", () => {
  it('lists every error code as the table has it', () => {
    const readme = readFileSync(new URL('../../../src/client/README.md', import.meta.url), 'utf8');
    const listed = [...readme.matchAll(/^\| ([A-Z_]+)\s*\| (\w+)\s*\| (\w+)\s*\|/gm)].map(
      ([, code = '', retriable, outcome]) => [code, { retriable: retriable === 'yes', outcome }],
    );
    const actual = Object.entries(ERRORS).map(([code, { retriable, outcome }]) => [
      code,
      { retriable, outcome },
    ]);
    expect(listed).to.deep.equal(actual);
  });
});

describe('the README', () => {
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  const readme = readFileSync(`${root}README.md`, 'utf8');
  const examples = [...readme.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code = '']) => code);

  it('has TypeScript examples that compile as they stand', function () {
    this.timeout(120_000);
    expect(examples.length).to.be.greaterThan(1);
    const read = ts.readConfigFile(`${root}tsconfig.json`, (file) => ts.sys.readFile(file));
    const { options } = ts.parseJsonConfigFileContent(read.config, ts.sys, root);
    const settings: ts.CompilerOptions = {
      ...options,
      noEmit: true,
      // An example shows what there is to be had.
      noUnusedLocals: false,
      rootDir: root,
      lib: ['lib.es2023.d.ts'],
      paths: { millrace: [`${root}src/client/index.ts`] },
    };
    const files = new Map(examples.map((code, i) => [`${root}example-${i}.ts`, code]));
    const host = ts.createCompilerHost(settings);
    const readFile = host.readFile.bind(host);
    const fileExists = host.fileExists.bind(host);
    const getSourceFile = host.getSourceFile.bind(host);
    host.readFile = (name) => files.get(name) ?? readFile(name);
    host.fileExists = (name) => files.has(name) || fileExists(name);
    host.getSourceFile = (name, version, ...rest) => {
      const code = files.get(name);
      return code === undefined
        ? getSourceFile(name, version, ...rest)
        : ts.createSourceFile(name, code, version);
    };
    const program = ts.createProgram([...files.keys()], settings, host);
    const problems = [...files.keys()].flatMap((name) =>
      ts
        .getPreEmitDiagnostics(program, program.getSourceFile(name))
        .map((d) => `${name}: ${ts.flattenDiagnosticMessageText(d.messageText, ' ')}`),
    );
    expect(problems).to.deep.equal([]);
  });
});
