/*
 * One step of a pattern in RE2's syntax. Groups: the counts of `{n}`, `{n,}` and `{n,m}`.
 *
 *   \Q..\E   \p{..} \x{..}   \.   [..]   (?i) (?: (?<name>   ( )   {n,m}   anything else
 */
const STEP =
  /\\Q[^]*?(?:\\E|$)|\\[pPx]\{[^}]*\}|\\[^]|\[\^?\]?(?:\\[^]|\[:\w+:\]|[^\]\\])*\]|\(\?(?:P?<\w+>|[A-Za-z-]*:?)|[()]|\{(\d+)(?:,(\d*))?\}|[^]/gu;

/**
 * Roughly how many characters and classes a pattern comes to once its counted repetitions are written
 * out. Told from the text alone: compiling a pattern of a few characters may write out a million.
 */
export function expandedSize(pattern: string): number {
  const outer: number[] = [];
  let size = 0;
  let last = 0;
  for (const [step, least, most] of pattern.matchAll(STEP)) {
    if (least !== undefined) {
      size += last * (Math.max(Number(least), Number(most ?? 0), 1) - 1);
      last = 0;
    } else if (step.startsWith('(')) {
      // `(?i)` sets flags: it is closed at once, and empty.
      outer.push(size);
      size = 0;
      last = 0;
    } else if (step === ')') {
      last = size;
      size += outer.pop() ?? 0;
    } else if (!'*+?|'.includes(step)) {
      last = step.startsWith('\\Q') ? step.length : 1;
      size += last;
    }
  }
  return outer.reduce((sum, before) => sum + before, size);
}
