/**
 * What Stryker need not change: words and facts that only a person reads, in an assertion that does
 * not hold or in an error. What is asserted, and when an error is thrown, is changed like the rest.
 */
import type { Ignorer } from '@stryker-mutator/api/ignore';
import { declareValuePlugin, PluginKind } from '@stryker-mutator/api/plugin';

/** The part of Babel's path that is looked at. */
interface SyntaxPath {
  readonly listKey?: string | undefined;
  readonly key: number | string | null;
  readonly parent: {
    readonly type: string;
    readonly callee?: { readonly type: string; readonly name?: string };
  } | null;
}

const ignorer: Ignorer = {
  shouldIgnore(path) {
    const { listKey, key, parent } = path as unknown as SyntaxPath;
    if (listKey !== 'arguments' || parent?.callee?.type !== 'Identifier') return undefined;
    const { type, callee } = parent;
    const name = callee.name ?? '';
    if (type === 'CallExpression' && name === 'invariant' && key !== 0)
      return 'text of an assertion';
    if (type === 'NewExpression' && name.endsWith('Error')) return 'text of an error';
    return undefined;
  },
};

export const texts = declareValuePlugin(PluginKind.Ignore, 'texts', ignorer);
