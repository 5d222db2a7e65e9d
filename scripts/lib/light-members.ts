import { randomBytes } from 'node:crypto';

import { ClusterView } from '../../src/client/cluster-view.js';
import { GroupMember } from '../../src/client/group-member.js';
import type { MemberAssignment, TopicPartitions } from '../../src/client/group-types.js';
import { GrpcTransport } from '../../src/client/grpc-transport.js';
import { parseBootstrap } from '../../src/client/index.js';
import { systemWorld } from '../../src/client/system-world.js';

const MEMBERS_PER_CONNECTION = 500;

interface Link {
  readonly transport: GrpcTransport;
  readonly view: ClusterView;
  members: number;
}

/**
 * A member of a consumer group as the client library has it, that reads nothing: it takes what it is
 * given and lets go at once of what it is told to. So what is measured of it is the coordinator's.
 */
export class LightMember {
  readonly memberId = randomBytes(16).toString('hex');
  readonly group: string;
  /** Told of each assignment taken in. */
  onAssigned: (() => void) | undefined;
  lost = 0;
  failure: string | undefined;
  private readonly member: GroupMember;
  private assignment: MemberAssignment | undefined;

  constructor(
    options: { readonly group: string; readonly topic: string; readonly sessionTimeoutMs?: number },
    deps: { readonly transport: GrpcTransport; readonly view: ClusterView },
  ) {
    const { group, topic, sessionTimeoutMs = 45_000 } = options;
    this.group = group;
    this.member = new GroupMember(
      {
        group,
        memberId: this.memberId,
        subscription: { topics: [topic], pattern: '' },
        instanceId: '',
        rack: '',
        clientId: 'load',
        assignor: '',
        sessionTimeoutMs,
        rebalanceTimeoutMs: 60_000,
      },
      { ...deps, world: systemWorld() },
      {
        assigned: (assignment) => {
          this.assignment = assignment;
          this.onAssigned?.();
        },
        lost: () => {
          this.lost += 1;
          this.assignment = undefined;
        },
        failed: (error) => {
          this.failure = error.code;
          this.assignment = undefined;
        },
        isolated: () => undefined,
        holding: () => this.held,
      },
    );
  }

  get epoch(): number {
    return this.member.epoch;
  }

  get held(): readonly TopicPartitions[] {
    return this.assignment?.partitions ?? [];
  }

  /** As `topic/partition`. */
  get heldKeys(): string[] {
    return this.held.flatMap(({ topic, partitions }) => partitions.map((p) => `${topic}/${p}`));
  }

  /** It was told what it gets, and waits for nothing of it any more. */
  get isWhole(): boolean {
    return this.assignment !== undefined && this.assignment.pending.length === 0;
  }

  /** Resolves once the coordinator has taken it in. */
  async join(): Promise<void> {
    await this.member.start();
  }

  async leave(): Promise<void> {
    await this.member.leave(false);
  }
}

/** Members that share a few connections, as the programs on one machine would. */
export class LightMembers {
  readonly all: LightMember[] = [];
  private readonly bootstrap: readonly string[];
  private readonly links: Link[] = [];

  constructor(bootstrap: readonly string[]) {
    this.bootstrap = bootstrap;
  }

  add(options: ConstructorParameters<typeof LightMember>[0]): LightMember {
    let link = this.links.at(-1);
    if (link === undefined || link.members >= MEMBERS_PER_CONNECTION) {
      const transport = new GrpcTransport();
      const addresses = parseBootstrap(this.bootstrap);
      link = { transport, view: new ClusterView(transport, systemWorld(), addresses), members: 0 };
      this.links.push(link);
    }
    link.members += 1;
    const member = new LightMember(options, link);
    this.all.push(member);
    return member;
  }

  close(): void {
    for (const { view, transport } of this.links.splice(0)) {
      view.close();
      transport.close();
    }
  }
}

/** Partitions that two of these members hold at the same time. */
export function heldTwice(members: readonly LightMember[]): string[] {
  const seen = new Set<string>();
  return members
    .flatMap((member) => member.heldKeys.map((key) => `${member.group}:${key}`))
    .filter((key) => {
      if (seen.has(key)) return true;
      seen.add(key);
      return false;
    });
}
