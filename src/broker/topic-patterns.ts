import { RE2JS } from 're2js';

const PATTERNS_MAX = 500;
const NAMES_MAX = 20_000;

interface Compiled {
  readonly expression: RE2JS;
  readonly results: Map<string, boolean>;
}

/**
 * Patterns of subscriptions, in RE2's syntax: matching takes time linear in the name, whatever the
 * pattern, so that no member can keep the coordinator busy with one.
 *
 * Invariant: what is kept is a cache, of bounded size.
 */
export class TopicPatterns {
  readonly #compiled = new Map<string, Compiled>();

  /** What is wrong with a pattern; undefined if nothing. */
  problem(pattern: string): string | undefined {
    try {
      this.#compile(pattern);
      return undefined;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return `pattern ${JSON.stringify(pattern.slice(0, 100))} is not valid in RE2's syntax: ${why}`;
    }
  }

  /** Whether the pattern matches the whole name. A pattern that is not valid matches nothing. */
  matches(pattern: string, name: string): boolean {
    if (this.problem(pattern) !== undefined) return false;
    const { expression, results } = this.#compile(pattern);
    const known = results.get(name);
    if (known !== undefined) return known;
    if (results.size >= NAMES_MAX) results.clear();
    const result = expression.matches(name);
    results.set(name, result);
    return result;
  }

  #compile(pattern: string): Compiled {
    const known = this.#compiled.get(pattern);
    if (known !== undefined) return known;
    const compiled = { expression: RE2JS.compile(pattern), results: new Map<string, boolean>() };
    if (this.#compiled.size >= PATTERNS_MAX) this.#compiled.clear();
    this.#compiled.set(pattern, compiled);
    return compiled;
  }
}
