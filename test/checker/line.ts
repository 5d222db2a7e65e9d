/** One record as a poll or a dump shows it. */
export type Row =
  | readonly [offset: number, value: string | null]
  | readonly [offset: number, value: string | null, crc: string]
  | readonly [offset: number, value: string | null, crc: string, epoch: number];

export type Offsets = Readonly<Record<string, number>>;
export type Config = Readonly<Record<string, unknown>>;

export interface LineBase {
  /** Line number, from 0, dense. */
  readonly i: number;
  /** Microseconds on one monotonic clock. */
  readonly t: number;
}

export type CompletionType = 'ok' | 'fail' | 'info';

export interface SendCall {
  readonly f: 'send';
  readonly k: string;
  readonly v: string;
  readonly crc?: string;
  readonly pid?: number;
  readonly pe?: number;
  readonly seq?: number;
  readonly acks?: string;
}
export interface AssignCall {
  readonly f: 'assign';
  readonly v: readonly string[];
  readonly seek?: 'begin' | Offsets;
}
export interface SubscribeCall {
  readonly f: 'subscribe';
  readonly g: string;
  readonly v: readonly string[];
  readonly reset?: 'begin' | 'end';
}
export interface PollCall {
  readonly f: 'poll';
  readonly lin?: boolean;
}
export interface CommitCall {
  readonly f: 'commit';
  readonly g: string;
  readonly offs: Offsets;
  readonly gen?: number;
}
export interface CommittedCall {
  readonly f: 'committed';
  readonly g: string;
  readonly ks: readonly string[];
}
export interface TopicCreateCall {
  readonly f: 'topic-create';
  readonly topic: string;
  readonly partitions: number;
  readonly cfg?: Config;
}
export interface TopicDeleteCall {
  readonly f: 'topic-delete';
  readonly topic: string;
}
export interface TopicConfigCall {
  readonly f: 'topic-config';
  readonly topic: string;
  readonly cfg: Config;
}
export interface TopicGetCall {
  readonly f: 'topic-get';
  readonly topic: string;
}

/** What a client asked. */
export type Call =
  | SendCall
  | AssignCall
  | SubscribeCall
  | PollCall
  | CommitCall
  | CommittedCall
  | TopicCreateCall
  | TopicDeleteCall
  | TopicConfigCall
  | TopicGetCall;

export type CallName = Call['f'];

/** What a client was told on `ok`; which fields there are depends on the call. */
export interface Answer {
  readonly off?: number;
  readonly epoch?: number | Offsets;
  readonly node?: number;
  readonly recs?: Readonly<Record<string, readonly Row[]>>;
  readonly hw?: Offsets;
  readonly offs?: Readonly<Record<string, number | null>>;
  readonly state?: null | { readonly partitions: number; readonly cfg?: Config };
  readonly err?: string;
}

export type InvokeLine = LineBase & { readonly p: number; readonly type: 'invoke' } & Call;
export type CompletionLine = LineBase &
  Answer & { readonly p: number; readonly type: CompletionType; readonly f: CallName };

export const PHASES = ['start', 'fault', 'heal', 'drain', 'end'] as const;
export type Phase = (typeof PHASES)[number];

export interface PhaseLine extends LineBase {
  readonly f: 'phase';
  readonly v: Phase;
  readonly format?: number;
}
export interface NemesisLine extends LineBase {
  readonly f: 'nemesis';
  readonly v: {
    readonly kind: string;
    readonly node?: number | readonly number[];
    readonly limitMs?: number;
  };
}
export interface RebalanceLine extends LineBase {
  readonly f: 'rebalance';
  readonly p: number;
  readonly g: string;
  readonly gen: number;
  readonly owned: readonly string[];
  readonly m?: string;
}
export interface ControlLine extends LineBase {
  readonly f: 'control';
  readonly k: string;
  readonly offs: readonly number[];
}
export interface DumpLine extends LineBase {
  readonly f: 'dump';
  readonly node: number;
  readonly k: string;
  readonly start: number;
  readonly hw: number;
  readonly rows: readonly Row[];
  readonly chain?: string;
}
export interface NoteLine extends LineBase {
  readonly f: 'note';
}

export type EventLine = PhaseLine | NemesisLine | RebalanceLine | ControlLine | DumpLine | NoteLine;

export type Line = InvokeLine | CompletionLine | EventLine;

export function topicOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/'));
}
