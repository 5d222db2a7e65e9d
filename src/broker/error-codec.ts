import { BrokerError, isErrorCode, type ErrorFacts, type LeaderHint } from '../model/errors.js';
import { int, maybe, record, text, uint, type Codec } from './peer-op.js';

const leaderCodec = record<LeaderHint>({
  brokerId: uint(),
  host: text,
  port: uint(),
  term: uint(),
});

type Outcome = NonNullable<ErrorFacts['outcome']>;
const OUTCOMES: readonly Outcome[] = ['none', 'unknown'];
const outcomeCodec: Codec<Outcome> = {
  write: (w, outcome) => void w.u8(OUTCOMES.indexOf(outcome)),
  // What an unknown byte could mean is told by the more careful of the two.
  read: (r) => OUTCOMES[r.u8()] ?? 'unknown',
};

/** The facts that have a name; whatever else an error carries is for the log of who threw it. */
type NamedFacts = Required<{
  [K in keyof ErrorFacts as string extends K ? never : K]: ErrorFacts[K];
}>;

const factsCodec = record<NamedFacts>({
  leader: maybe(leaderCodec),
  retryAfterMs: maybe(int),
  outcome: maybe(outcomeCodec),
  expectedSequence: maybe(int),
  logEndOffset: maybe(int),
  keyOffset: maybe(int),
  logStartOffset: maybe(int),
  highWatermark: maybe(int),
});

/** An error as one item of an answer: code, message and every named fact. */
export const errorCodec: Codec<BrokerError> = {
  write(w, error) {
    w.string(error.code).string(error.message.slice(0, 2_000));
    const { leader, outcome, ...numbers } = error.facts;
    factsCodec.write(w, {
      leader,
      outcome,
      retryAfterMs: integer(numbers.retryAfterMs),
      expectedSequence: integer(numbers.expectedSequence),
      logEndOffset: integer(numbers.logEndOffset),
      keyOffset: integer(numbers.keyOffset),
      logStartOffset: integer(numbers.logStartOffset),
      highWatermark: integer(numbers.highWatermark),
    });
  },
  read(r) {
    const code = r.string();
    const message = r.string();
    const facts = factsCodec.read(r);
    if (isErrorCode(code)) return new BrokerError(code, message, present(facts));
    // A code of a newer broker: nobody here knows whether it was carried out, unless it says so.
    const { outcome = 'unknown' } = facts;
    return new BrokerError('INTERNAL', `${code}: ${message}`, present({ ...facts, outcome }));
  },
};

/** A value, or the error that stands in its place. */
export function orError<T extends object | number>(codec: Codec<T>): Codec<T | BrokerError> {
  return {
    write(w, value) {
      const isError = value instanceof BrokerError;
      w.bool(isError);
      if (isError) errorCodec.write(w, value);
      else codec.write(w, value);
    },
    read: (r) => (r.bool() ? errorCodec.read(r) : codec.read(r)),
  };
}

/** What is no safe integer, such as a wait computed in fractions, must not keep an error from travelling. */
function integer(fact: number | undefined): number | undefined {
  if (fact === undefined || Number.isSafeInteger(fact)) return fact;
  const rounded = Math.ceil(fact);
  return Number.isSafeInteger(rounded) ? rounded : undefined;
}

/** Absent facts are absent, not undefined. */
function present(facts: NamedFacts): ErrorFacts {
  return Object.fromEntries(Object.entries(facts).filter(([, fact]) => fact !== undefined));
}
