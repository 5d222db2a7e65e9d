import type { Patient } from './patient.js';

/** The longest that anything may go without an answer. */
export const ANSWER_MS = 15_000;

export interface Case {
  readonly input: string;
  /** What the answer must say. */
  readonly expected: RegExp;
  answer(): Promise<string>;
}

export interface Row {
  readonly input: string;
  readonly answer: string;
  readonly ms: number;
  /** Undefined: as it should be. */
  readonly problem: string | undefined;
}

function problemOf(row: { answer: string; ms: number }, expected: RegExp): string | undefined {
  const { answer, ms } = row;
  // Without quorum the brokers' return is part of the time.
  if (ms > ANSWER_MS * 2) return `took ${Math.round(ms)} ms`;
  // Except where it is gRPC's own word for bytes that are no message.
  const mayBeInternal = expected.source.includes('INTERNAL');
  if (answer.includes('INTERNAL') && !mayBeInternal) return 'an internal error';
  if (/\n\s+at /.test(answer)) return 'a stack trace';
  if (answer.includes('by signal')) return `no answer within ${ANSWER_MS} ms`;
  if (!expected.test(answer)) return `expected ${String(expected)}`;
  return undefined;
}

async function within(answer: Promise<string>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('by signal: still waiting'), ANSWER_MS * 4);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

export async function judge(patient: Patient, one: Case): Promise<Row> {
  const startedAt = performance.now();
  const answer = await within(one.answer());
  const ms = performance.now() - startedAt;
  const unclear = problemOf({ answer, ms }, one.expected);
  const harm = await patient.harm();
  const problem = harm === undefined ? unclear : `HARMED: ${harm}`;
  return { input: one.input, answer, ms, problem };
}

export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
