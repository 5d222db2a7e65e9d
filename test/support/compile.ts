import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * What the compiler has to say about each of these modules, as if they stood in the root of the
 * package; `millrace` is the package itself.
 */
export function problemsOf(modules: readonly string[]): string[][] {
  const read = ts.readConfigFile(`${ROOT}tsconfig.json`, (file) => ts.sys.readFile(file));
  const { options } = ts.parseJsonConfigFileContent(read.config, ts.sys, ROOT);
  const index = `${ROOT}src/client/index.ts`;
  const settings: ts.CompilerOptions = {
    ...options,
    noEmit: true,
    // An example shows what there is to be had.
    noUnusedLocals: false,
    rootDir: ROOT,
    lib: ['lib.es2023.d.ts'],
    paths: { millrace: [index], 'millrace/client': [index] },
  };
  const files = new Map(modules.map((code, i) => [`${ROOT}example-${i}.ts`, code]));
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
  return [...files.keys()].map((name) =>
    ts
      .getPreEmitDiagnostics(program, program.getSourceFile(name))
      .map((d) => ts.flattenDiagnosticMessageText(d.messageText, ' ')),
  );
}
