/**
 * What Stryker need not change: words and facts that only a person reads, in an assertion that does
 * not hold, in an error or in a rejection. What is asserted, when an error is thrown and which code a
 * rejection has, is changed like the rest.
 */
import type { Ignorer } from '@stryker-mutator/api/ignore';
import { declareValuePlugin, PluginKind } from '@stryker-mutator/api/plugin';

/** By what is called: the argument from which on there are texts. */
const TEXTS_FROM: ReadonlyMap<string, number> = new Map([
  ['invariant', 1],
  ['rejected', 1],
  ['BrokerError', 1],
  ['MalformedBytesError', 0],
  ['RangeError', 0],
]);

/** The part of Babel's path that is looked at. */
interface SyntaxPath {
  readonly listKey?: string | undefined;
  readonly key: number | string | null;
  readonly parent: { readonly callee?: { readonly name?: string } } | null;
}

const ignorer: Ignorer = {
  shouldIgnore(path) {
    const { listKey, key, parent } = path as unknown as SyntaxPath;
    if (listKey !== 'arguments' || typeof key !== 'number') return undefined;
    const first = TEXTS_FROM.get(parent?.callee?.name ?? '');
    return first !== undefined && key >= first ? 'a text' : undefined;
  },
};

export const texts = declareValuePlugin(PluginKind.Ignore, 'texts', ignorer);
