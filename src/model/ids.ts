declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** A broker, 1 to 2^31 - 1, fixed for the life of its data directory. */
export type BrokerId = Branded<number, 'BrokerId'>;
/** Raft term, 0 before the first election; below 2^31 because it becomes a 32-bit leader epoch. */
export type Term = Branded<number, 'Term'>;
/** Slot of a Raft log; the first entry stands at 1, 0 means "before the log". Never shown to users. */
export type LogIndex = Branded<number, 'LogIndex'>;
/** Position of a record in a partition, from 0. Never used by `raft/`. */
export type Offset = Branded<number, 'Offset'>;
/** A Raft group; 0 is the metadata group. Handed out by the metadata group and never reused. */
export type RaftGroupId = Branded<number, 'RaftGroupId'>;
/** 32 lower-case hex digits. A topic deleted and created again under its name has another one. */
export type TopicId = Branded<string, 'TopicId'>;
/** Names one life of one replica's store: made with its directory, made anew when it is rebuilt. */
export type Incarnation = Branded<number, 'Incarnation'>;
/** Identity of an idempotent producer, from 0; -1 in a batch means none. */
export type ProducerId = Branded<number, 'ProducerId'>;

export const brokerId = (n: number): BrokerId => n as BrokerId;
export const term = (n: number): Term => n as Term;
export const logIndex = (n: number): LogIndex => n as LogIndex;
export const offset = (n: number): Offset => n as Offset;
export const raftGroupId = (n: number): RaftGroupId => n as RaftGroupId;
export const topicId = (s: string): TopicId => s as TopicId;
export const incarnation = (n: number): Incarnation => n as Incarnation;
export const producerId = (n: number): ProducerId => n as ProducerId;

export const METADATA_GROUP = raftGroupId(0);
/** Terms stay below this: a batch header has 31 bits for the leader epoch. */
export const TERM_LIMIT = 0x8000_0000;

/** A partition of a topic, by its number from 0. */
export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}
