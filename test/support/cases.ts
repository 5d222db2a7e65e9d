import process from 'node:process';

/**
 * How many random cases a test tries: all of them, but fewer where the same tests run thousands of
 * times over (`npm run mutation`).
 */
export function casesOf(all: number): number {
  return Math.ceil((all * Number(process.env['TEST_CASES_PERCENT'] ?? 100)) / 100);
}
