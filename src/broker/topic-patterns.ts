import type { MatchPattern } from '../metadata/plan-target.js';
import { METADATA_LIMITS } from '../metadata/limits.js';
import { expandedSize } from './topic-pattern-size.js';

const PATTERNS_MAX = 500;
/** Results kept, of all patterns together. */
const RESULTS_MAX = 200_000;
/** Instructions of a compiled pattern: matching takes time for each of them with each character. */
const PROGRAM_SIZE_MAX = 1_500;

/** A regular expression that matches in time linear in the name. */
export interface NameExpression {
  /** Whether it matches the whole name. */
  matches(name: string): boolean;
  /** Instructions it was compiled to. */
  programSize(): number;
}

/** Compiles RE2's syntax; throws on anything else. */
export type CompileExpression = (pattern: string) => NameExpression;

interface Compiled {
  readonly expression: NameExpression;
  readonly results: Map<string, boolean>;
}

/** A pattern that is not valid: why. */
interface Invalid {
  readonly problem: string;
}

const matchesNothing = (): boolean => false;

/**
 * Patterns of subscriptions, in RE2's syntax: matching takes time linear in the name, and patterns
 * that are long, or become so when their repetitions are written out, are refused before they are
 * compiled, so that no member can keep the coordinator busy with one.
 *
 * Invariant: what is kept is a cache, of bounded size; invalid patterns are kept like valid ones.
 */
export class TopicPatterns {
  readonly #compile: CompileExpression;
  readonly #known = new Map<string, Compiled | Invalid>();
  #results = 0;

  constructor(compile: CompileExpression) {
    this.#compile = compile;
  }

  get resultsKept(): number {
    return this.#results;
  }

  /** What is wrong with a pattern; undefined if nothing. */
  problem(pattern: string): string | undefined {
    const { patternLengthMax } = METADATA_LIMITS;
    if (pattern.length > patternLengthMax) {
      return `a pattern has at most ${patternLengthMax} characters`;
    }
    const known = this.#lookUp(pattern);
    return 'problem' in known ? known.problem : undefined;
  }

  /** Tells whether a whole name matches the pattern. One that is not valid matches nothing. */
  readonly matcher: MatchPattern = (pattern) => {
    if (this.problem(pattern) !== undefined) return matchesNothing;
    const known = this.#lookUp(pattern);
    if ('problem' in known) return matchesNothing;
    const { expression, results } = known;
    return (name) => {
      const before = results.get(name);
      if (before !== undefined) return before;
      const result = expression.matches(name);
      this.#keep(results, name, result);
      return result;
    };
  };

  #keep(results: Map<string, boolean>, name: string, result: boolean): void {
    if (this.#results >= RESULTS_MAX) {
      for (const one of this.#known.values()) if ('results' in one) one.results.clear();
      // Of a pattern that is no longer among them.
      results.clear();
      this.#results = 0;
    }
    results.set(name, result);
    this.#results += 1;
  }

  #lookUp(pattern: string): Compiled | Invalid {
    const known = this.#known.get(pattern);
    if (known !== undefined) return known;
    if (this.#known.size >= PATTERNS_MAX) {
      this.#known.clear();
      this.#results = 0;
    }
    const made = compileWithin(pattern, this.#compile);
    this.#known.set(pattern, made);
    return made;
  }
}

function compileWithin(pattern: string, compile: CompileExpression): Compiled | Invalid {
  const shown = `pattern ${JSON.stringify(pattern.slice(0, 100))}`;
  const tooLarge = { problem: `${shown} comes to more than ${PROGRAM_SIZE_MAX} steps` };
  if (expandedSize(pattern) > PROGRAM_SIZE_MAX) return tooLarge;
  try {
    const expression = compile(pattern);
    if (expression.programSize() > PROGRAM_SIZE_MAX) return tooLarge;
    return { expression, results: new Map() };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { problem: `${shown} is not valid in RE2's syntax: ${why}` };
  }
}
