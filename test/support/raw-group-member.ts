import { credentials, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js';

import { channelOptions } from '../../src/rpc/channel.js';
import { protoTypes } from '../../src/rpc/proto.js';
import type { GroupsClient } from '../../src/rpc/gen/millrace/broker/v1/Groups.js';
import type { JoinGroup } from '../../src/rpc/gen/millrace/broker/v1/JoinGroup.js';
import type { ParticipateRequest } from '../../src/rpc/gen/millrace/broker/v1/ParticipateRequest.js';
import type { ParticipateResponse__Output } from '../../src/rpc/gen/millrace/broker/v1/ParticipateResponse.js';
import type { TopicPartitions__Output } from '../../src/rpc/gen/millrace/broker/v1/TopicPartitions.js';
import { errorFromStatus } from '../../src/rpc/status.js';
import { eventually } from './eventually.js';

type Call = ClientDuplexStream<ParticipateRequest, ParticipateResponse__Output>;

export function groupsClient(address: string): GroupsClient {
  const types = protoTypes();
  const options = channelOptions({
    messageBytesMax: 16 * 1024 * 1024,
    keepaliveTimeMs: 10_000,
    keepaliveTimeoutMs: 5_000,
    reconnectBackoffMs: { first: 20, max: 200 },
  });
  return new types.Groups(address, credentials.createInsecure(), options);
}

/** Partitions as `topic/number`, sorted. */
export function flat(topics: readonly TopicPartitions__Output[]): string[] {
  return topics.flatMap(({ topic, partitions }) => partitions.map((p) => `${topic}/${p}`)).sort();
}

/**
 * A member of a consumer group that speaks the protocol by hand: it takes what it is given, gives up
 * what it is told to, and looks for the coordinator when its stream breaks.
 */
export class RawGroupMember {
  readonly memberId: string;
  private readonly clients: readonly GroupsClient[];
  private readonly join: JoinGroup;
  private call: Call | undefined;
  private at = 0;
  private sequence = 0;
  private version = 0;
  private topics: readonly TopicPartitions__Output[] = [];
  private timer: NodeJS.Timeout | undefined;
  private isOver = false;
  /** When requests of the present stream were sent, by their sequence; those that are not answered. */
  private sentAtMs = new Map<number, number>();
  epoch = 0;
  /** When the last request was sent that the coordinator answered: it heard of the member since. */
  heardFromMs = 0;
  /** Streams that were opened. */
  joins = 0;
  /** Everything ever held, with repetitions. */
  readonly taken: string[] = [];
  readonly lost: string[] = [];
  /** Codes of errors that ended the membership. */
  readonly ended: string[] = [];
  assignor: string | undefined;

  constructor(addresses: readonly string[], join: JoinGroup) {
    this.clients = addresses.map(groupsClient);
    this.join = join;
    this.memberId = join.memberId ?? '';
  }

  get held(): string[] {
    return flat(this.topics);
  }

  start(): this {
    this.open();
    this.timer = setInterval(() => this.beat(), 200);
    return this;
  }

  /** Gone without a word. */
  kill(): void {
    this.isOver = true;
    clearInterval(this.timer);
    this.call?.cancel();
    for (const client of this.clients) client.close();
  }

  async leave(temporary = false): Promise<void> {
    clearInterval(this.timer);
    let hasEnded = false;
    this.call?.once('end', () => {
      hasEnded = true;
    });
    this.isOver = true;
    this.send({ leave: { temporary } });
    await eventually('the coordinator ends the stream', () => hasEnded);
    this.kill();
  }

  beat(): void {
    const owned = { topics: this.topics.map((one) => ({ ...one })) };
    this.send({
      heartbeat: { memberEpoch: this.epoch, assignmentVersion: this.version, owned },
    });
  }

  private open(): void {
    if (this.isOver) return;
    this.sequence = 0;
    this.sentAtMs.clear();
    this.version = 0;
    this.joins += 1;
    const client = this.clients[this.at % this.clients.length];
    const call = client?.Participate();
    if (call === undefined) return;
    this.call = call;
    call.on('data', (response: ParticipateResponse__Output) => {
      if (call === this.call) this.take(response);
    });
    call.on('error', (error) => {
      if (call === this.call) this.failed(error as ServiceError);
    });
    call.on('end', () => undefined);
    const owned = { topics: this.topics.map((one) => ({ ...one })) };
    this.send({ join: { ...this.join, memberEpoch: this.epoch, owned } });
  }

  private send(request: ParticipateRequest): void {
    this.sequence += 1;
    this.sentAtMs.set(this.sequence, performance.now());
    this.call?.write({ ...request, sequence: this.sequence });
  }

  private take(response: ParticipateResponse__Output): void {
    this.epoch = response.memberEpoch;
    this.heardFromMs = this.sentAtMs.get(response.sequence) ?? this.heardFromMs;
    this.sentAtMs.delete(response.sequence);
    const { assignment } = response;
    if (assignment === null) return;
    const before = new Set(this.held);
    this.version = assignment.version;
    this.topics = assignment.partitions;
    const after = new Set(this.held);
    this.taken.push(...[...after].filter((one) => !before.has(one)));
    this.lost.push(...[...before].filter((one) => !after.has(one)));
    this.beat();
  }

  private failed(error: ServiceError): void {
    this.call = undefined;
    if (this.isOver) return;
    const failure = errorFromStatus(error, { isWrite: false });
    if (!failure.retriable) {
      this.ended.push(failure.code);
      this.epoch = 0;
      this.topics = [];
    }
    this.at += 1;
    setTimeout(() => this.open(), 20);
  }
}
