import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Assignors } from '../metadata/assignors/assignors.js';
import type { Assignor } from '../metadata/assignors/assignor.js';

/**
 * The built-in assignors and those that modules export by default, one or a list each. Paths are
 * relative to the working directory. Throws Error, naming the module, if it cannot be loaded or holds
 * none; RangeError, naming the assignor, if that cannot be used.
 */
export async function loadAssignors(modules: readonly string[]): Promise<Assignors> {
  const all: Assignor[] = [];
  for (const module of modules) all.push(...(await assignorsIn(module)));
  return new Assignors(all);
}

async function assignorsIn(module: string): Promise<readonly Assignor[]> {
  let loaded: unknown;
  try {
    loaded = await import(pathToFileURL(path.resolve(module)).href);
  } catch (cause) {
    const [line = ''] = String(cause instanceof Error ? cause.message : cause).split('\n');
    throw new Error(`${module}: ${line}`, { cause });
  }
  const exported = (loaded as { readonly default?: unknown }).default;
  const list: readonly unknown[] = Array.isArray(exported) ? exported : [exported];
  return list.map((one) => {
    if (typeof one === 'object' && one !== null) return one as Assignor;
    throw new Error(`${module}: its default export is no assignor, nor a list of them`);
  });
}
