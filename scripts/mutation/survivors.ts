/** Prints each mutant that no test noticed as soon as that is known, as a run may take long. */
import type { MutantResult, StrykerOptions } from '@stryker-mutator/api/core';
import { commonTokens, declareClassPlugin, PluginKind, tokens } from '@stryker-mutator/api/plugin';
import type { Reporter } from '@stryker-mutator/api/report';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';

const TEXT_LENGTH_MAX = 90;

class Survivors implements Reporter {
  private readonly sources = new Map<string, readonly string[]>();
  private readonly files: ReadonlySet<string>;

  static readonly inject = tokens(commonTokens.options);

  constructor({ mutate }: StrykerOptions) {
    this.files = new Set(mutate.map((one) => path.resolve(one.split(':', 1)[0] ?? one)));
  }

  /** Also told of what earlier runs made of other files. */
  onMutantTested(mutant: Readonly<MutantResult>): void {
    const { fileName, location, mutatorName, replacement, status } = mutant;
    if (status !== 'Survived' && status !== 'NoCoverage') return;
    if (!this.files.has(path.resolve(fileName))) return;
    const { line, column } = location.start;
    const where = `${path.relative('.', fileName)}:${line}:${column}`;
    const what = status === 'Survived' ? 'survived' : 'not reached';
    const original = shortened(this.textAt(fileName, location));
    process.stdout.write(
      `${where} ${what}: ${mutatorName}\n    - ${original}\n    + ${shortened(replacement)}\n`,
    );
  }

  private textAt(file: string, { start, end }: MutantResult['location']): string {
    let lines = this.sources.get(file);
    if (lines === undefined) {
      lines = readFileSync(file, 'utf8').split('\n');
      this.sources.set(file, lines);
    }
    const between = lines.slice(start.line - 1, end.line);
    const last = between.length - 1;
    between[last] = between[last]?.slice(0, end.column - 1) ?? '';
    between[0] = between[0]?.slice(start.column - 1) ?? '';
    return between.join('\n');
  }
}

function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > TEXT_LENGTH_MAX ? `${line.slice(0, TEXT_LENGTH_MAX - 3)}...` : line;
}

export const survivors = declareClassPlugin(PluginKind.Reporter, 'survivors', Survivors);
