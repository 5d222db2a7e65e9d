import { createRequire } from 'node:module';
import type * as Re2 from 're2js';
import type { CompileExpression } from '../broker/topic-patterns.js';

const require = createRequire(import.meta.url);
let re2: typeof Re2 | undefined;

/**
 * RE2's expressions. Its tables of Unicode take tens of milliseconds to load, and most clusters have no
 * pattern: they are loaded with the first one, in that turn, since who asks is not to wait.
 */
export const compileRe2: CompileExpression = (pattern) => {
  re2 ??= require('re2js') as typeof Re2;
  return re2.RE2JS.compile(pattern);
};
