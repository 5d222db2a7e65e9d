import type { Answer, Call, CompletionType } from '../../test/checker/line.js';

/** What a member's process is started with. */
export interface MemberSettings {
  readonly bootstrap: readonly string[];
  readonly topic: string;
  readonly group: string;
  readonly partitions: number;
  readonly seed: number;
  /** It joins and leaves all the time, until it is told to settle. */
  readonly isChurning: boolean;
}

/** What a member's process tells the run, in the order in which it happened. */
export type FromMember =
  /** Wants a process id of the history, and waits for it. */
  | { readonly kind: 'new' }
  /** About to call; if awaited, the call is made only once the run has written it down. */
  | {
      readonly kind: 'invoke';
      readonly p: number;
      readonly call: Call;
      readonly isAwaited: boolean;
    }
  | {
      readonly kind: 'complete';
      readonly p: number;
      readonly type: CompletionType;
      readonly answer: Answer;
    }
  | {
      readonly kind: 'rebalance';
      readonly p: number;
      readonly gen: number;
      readonly owned: readonly string[];
      readonly m: string;
    }
  /** Has these no longer; the history is told what a member owns when it is given more. */
  | { readonly kind: 'gaveUp'; readonly keys: readonly string[] }
  /** Time from joining to the first partition. */
  | { readonly kind: 'joined'; readonly ms: number }
  /** For this long a partition that it kept had nothing to read; ms since 1970. */
  | { readonly kind: 'gap'; readonly key: string; readonly fromMs: number; readonly toMs: number }
  | { readonly kind: 'event'; readonly what: 'join' | 'leave' | 'lost' | 'refused' };

/** What the probe of shares tells: a member joined, and had its whole share; ms since 1970. */
export interface ShareTaken {
  readonly kind: 'share';
  readonly fromMs: number;
  readonly toMs: number;
}

export type ToMember =
  /** Answers 'new', and 'invoke' where that is awaited. */
  | { readonly kind: 'go'; readonly p: number }
  /** Stay in the group from now on. */
  | { readonly kind: 'settle' }
  /** Commit, leave and end. */
  | { readonly kind: 'stop' };
