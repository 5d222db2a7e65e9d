import type { Level } from '../run.js';

/** One replacement in one file; `find` must stand there exactly once. */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** A bug planted on purpose: the simulator must find it. It exists only in a copy of the sources. */
export interface Mutant {
  /** As in RELIABILITY.md §8; X for ours. */
  readonly id: string;
  readonly what: string;
  /** Where to look for it: in the simulator, in the scenarios of the consensus core, or in tests. */
  readonly level: Level | 'scenarios' | 'tests';
  /** Which tests. */
  readonly tests?: readonly string[];
  readonly edits: readonly Edit[];
}

const CORE = 'src/raft';

export const MUTANTS: readonly Mutant[] = [
  {
    id: 'M1',
    what: 'a vote is answered before it is durable',
    level: 'raft',
    edits: [
      {
        file: `${CORE}/replica.ts`,
        find: 'if (this.isHardStateDurable) this.outbox.push(message);',
        replace:
          "if (this.isHardStateDurable || message.kind === 'voteResponse') this.outbox.push(message);",
      },
    ],
  },
  {
    id: 'M2',
    what: 'term and vote are written one after the other',
    level: 'raft',
    edits: [
      {
        file: `${CORE}/replica.ts`,
        find: 'private hardStateTicket = 0;',
        replace: 'private hardStateTicket = 0;\n  private termWritten = 0;',
      },
      {
        file: `${CORE}/replica.ts`,
        find: '    this.isHardStateDirty = false;\n    this.hardStateTicket = this.nextTicket;\n    return this.hardState;',
        replace:
          '    const isHalf = this.votedFor !== undefined && this.termWritten < this.term;\n' +
          '    this.isHardStateDirty = isHalf;\n    this.termWritten = this.term;\n' +
          '    this.hardStateTicket = this.nextTicket;\n' +
          '    return isHalf ? { ...this.hardState, votedFor: undefined } : this.hardState;',
      },
    ],
  },
  {
    id: 'M3',
    what: 'a vote is forgotten within its term',
    level: 'raft',
    edits: [
      {
        file: `${CORE}/election.ts`,
        find: 'return leader === undefined && (votedFor === undefined || votedFor === candidate);',
        replace:
          'return leader === undefined && (votedFor === undefined || votedFor !== undefined || candidate > 0);',
      },
      {
        file: `${CORE}/replica.ts`,
        find: "invariant(this.votedFor === undefined, 'one vote a term', {",
        replace: "invariant(this.term >= 0, 'one vote a term', {",
      },
    ],
  },
  {
    id: 'M4',
    what: "a leader commits an earlier term's entry by counting",
    level: 'raft',
    edits: [
      {
        file: `${CORE}/step-leader.ts`,
        find: 'if (committed <= log.commit || log.termAt(committed) !== term) return;',
        replace: 'if (committed <= log.commit || term < 0) return;',
      },
    ],
  },
  {
    id: 'M5',
    what: 'every append truncates the log behind it',
    level: 'raft',
    edits: [
      {
        file: `${CORE}/step-follower.ts`,
        find: 'const fresh = entries.findIndex((entry) => !log.holds(entry));',
        replace: 'const fresh = entries.length > 0 ? 0 : -1;',
      },
      {
        file: `${CORE}/step-follower.ts`,
        find: "invariant(first.index > this.verified, 'one leader never contradicts itself', {",
        replace: "invariant(first.index > 0, 'one leader never contradicts itself', {",
      },
      {
        file: `${CORE}/raft-log.ts`,
        find: "invariant(index >= this.commitIndex, 'committed entries stay', {",
        replace: "invariant(index >= 0, 'committed entries stay', {",
      },
    ],
  },
  {
    id: 'M7',
    what: 'a leader counts itself before its disk has the entries',
    level: 'raft',
    edits: [
      {
        file: `${CORE}/step-leader.ts`,
        find: 'id === self ? log.durable : this.replicator',
        replace: 'id === self ? log.lastIndex : this.replicator',
      },
    ],
  },
  {
    id: 'M8',
    what: 'a follower acknowledges what it has only in memory',
    level: 'raft',
    edits: [
      {
        file: `${CORE}/step-follower.ts`,
        find: 'const match = logIndex(Math.min(this.replica.log.durable, this.verified));',
        replace: 'const match = logIndex(this.verified);',
      },
    ],
  },
  {
    id: 'M9',
    what: 'a quorum produce is acknowledged once the leader has it on disk',
    level: 'broker',
    edits: [
      {
        file: 'src/broker/pending-produce.ts',
        find: "if (this.acks === 'leader') this.answer(",
        replace: "if (this.acks !== 'none') this.answer(",
      },
    ],
  },
  {
    id: 'M10',
    what: 'a proposal is acknowledged without a look at the term of what stands in its place',
    level: 'raft',
    edits: [
      {
        file: 'src/host/proposals.ts',
        find: 'this.#failWhere((p) => p.id.term !== term && p.id.index >= committedNext);',
        replace:
          'this.#failWhere((p) => p.id.term !== term && p.id.index >= committedNext && p.id.index < 0);',
      },
      {
        file: 'src/host/proposals.ts',
        find: 'if (pending.id.index === entry.index && pending.id.term === entry.term) {',
        replace: 'if (pending.id.index === entry.index) {',
      },
    ],
  },
  {
    id: 'M12',
    what: "members are changed before an entry of the leader's term is committed",
    level: 'raft',
    edits: [
      {
        file: `${CORE}/step-leader.ts`,
        find: 'const isBusy = !this.hasCommittedOwnTerm || log.membershipIndex > log.commit;',
        replace: 'const isBusy = log.membershipIndex > log.commit;',
      },
    ],
  },
  {
    id: 'M13',
    what: 'a second change of members begins before the first is committed',
    level: 'raft',
    edits: [
      {
        file: `${CORE}/step-leader.ts`,
        find: 'const isBusy = !this.hasCommittedOwnTerm || log.membershipIndex > log.commit;',
        replace: 'const isBusy = !this.hasCommittedOwnTerm;',
      },
    ],
  },
  {
    id: 'M16',
    what: 'a truncated membership stays in force',
    level: 'raft',
    edits: [
      {
        file: `${CORE}/raft-log.ts`,
        find: '    this.memberships.truncateAfter(index);\n    this.lowerDurable(index);',
        replace: '    this.lowerDurable(index);',
      },
    ],
  },
  {
    id: 'M6',
    what: 'what is committed may be truncated',
    level: 'scenarios',
    edits: [
      {
        file: `${CORE}/raft-log.ts`,
        find: "invariant(index >= this.commitIndex, 'committed entries stay', {",
        replace: "invariant(index >= 0, 'committed entries stay', {",
      },
      {
        file: `${CORE}/step-follower.ts`,
        find: "invariant(first.index > this.verified, 'one leader never contradicts itself', {",
        replace: "invariant(first.index > 0, 'one leader never contradicts itself', {",
      },
    ],
  },
  {
    id: 'M11',
    what: 'a leader may be asked to read before anything of its term is committed',
    level: 'scenarios',
    edits: [
      {
        file: `${CORE}/step-leader.ts`,
        find: 'return this.replica.log.commit >= this.opening;',
        replace: 'return this.opening > 0;',
      },
    ],
  },
  {
    id: 'M14',
    what: 'a learner counts like a voter',
    level: 'scenarios',
    edits: [
      {
        file: `${CORE}/step-leader.ts`,
        find: 'const index = quorumValue(log.membership, (id) =>',
        replace:
          'const everybody = { ...log.membership, voters: [...log.membership.voters, ...log.membership.learners] };\n    const index = quorumValue(everybody, (id) =>',
      },
    ],
  },
  {
    id: 'M15',
    what: 'a leader that is removed still counts itself',
    level: 'scenarios',
    edits: [
      {
        file: `${CORE}/step-leader.ts`,
        find: 'const index = quorumValue(log.membership, (id) =>',
        replace:
          'const withSelf = { ...log.membership, voters: [...new Set([...log.membership.voters, self])] };\n    const index = quorumValue(withSelf, (id) =>',
      },
    ],
  },
  {
    id: 'M17',
    what: 'the membership in a snapshot is ignored',
    level: 'scenarios',
    edits: [
      {
        file: `${CORE}/raft-log.ts`,
        find: 'this.memberships.reset({ index: snapshot.last.index, membership: snapshot.membership });',
        replace:
          'this.memberships.reset({ index: snapshot.last.index, membership: this.membership });',
      },
    ],
  },
  {
    id: 'M18',
    what: 'a pre-vote does not look at the log',
    level: 'scenarios',
    edits: [
      {
        file: `${CORE}/election.ts`,
        find: 'const granted = isTermGood && this.isLogGood(m) && !this.goesBefore(m);',
        replace: 'const granted = isTermGood && !this.goesBefore(m);',
      },
    ],
  },
  {
    id: 'M19',
    what: 'a pre-vote raises the term of who is asked',
    level: 'scenarios',
    edits: [
      {
        file: `${CORE}/election.ts`,
        find: '    this.answerPreVote(m);\n  }',
        replace:
          '    if (m.term > this.replica.term) this.transitions.becomeFollower(m.term, undefined);\n    this.answerPreVote(m);\n  }',
      },
    ],
  },
  {
    id: 'M20',
    what: 'a leader without a quorum stays in office',
    level: 'scenarios',
    edits: [
      {
        file: `${CORE}/step-leader.ts`,
        find: 'if (!this.checkQuorum()) {',
        replace: 'if (!this.checkQuorum() && this.ticks < 0) {',
      },
    ],
  },
  {
    id: 'M21',
    what: 'every replica waits for the same number of ticks',
    level: 'scenarios',
    edits: [
      {
        file: `${CORE}/election-timer.ts`,
        find: 'return this.config.electionTicks + this.random.int(this.config.electionTicks);',
        replace: 'return this.config.electionTicks;',
      },
    ],
  },
  {
    id: 'M22',
    what: 'a leader of an older term is obeyed',
    level: 'scenarios',
    edits: [
      {
        file: `${CORE}/raft-core.ts`,
        find: 'if (m.term < replica.term) {\n      this.correct(m.from);',
        replace: 'if (m.term < 0) {\n      this.correct(m.from);',
      },
    ],
  },
  {
    id: 'M40',
    what: 'a read is confirmed by an answer to an earlier round',
    level: 'scenarios',
    edits: [
      {
        file: `${CORE}/read-barriers.ts`,
        find: 'this.pending.push({ token, index: commit, round: this.lastRound + 1 });',
        replace: 'this.pending.push({ token, index: commit, round: this.lastRound });',
      },
    ],
  },
  {
    id: 'X4',
    what: 'a voter just added is taken for silent',
    level: 'scenarios',
    edits: [
      {
        file: `${CORE}/replicator.ts`,
        find: 'peer.joinedAtTick = tick;',
        replace: 'peer.joinedAtTick = Math.min(tick, -Infinity);',
      },
    ],
  },
  {
    id: 'M23',
    what: 'readers are given what is not committed',
    level: 'broker',
    edits: [
      {
        file: 'src/broker/log-reader.ts',
        find: 'return !scan.isFull && scan.at <= this.state.appliedIndex;',
        replace:
          'return !scan.isFull && scan.at <= (this.group.status()?.last.index ?? this.state.appliedIndex);',
      },
      {
        file: 'src/broker/log-reader.ts',
        find: 'return { first: scan.at, next: logIndex(this.state.appliedIndex + 1) };',
        replace:
          'return { first: scan.at, next: logIndex((this.group.status()?.last.index ?? this.state.appliedIndex) + 1) };',
      },
    ],
  },
  {
    id: 'M24',
    what: 'a new leader serves before it has applied an entry of its term',
    level: 'broker',
    edits: [
      {
        file: 'src/host/raft-group-driver.ts',
        find: 'return this.isLeader && this.applier.ownTermFrom?.term === this.#term;',
        replace: 'return this.isLeader && this.#term > 0;',
      },
      {
        file: 'src/host/raft-group-driver.ts',
        find: '    this.#owner.roleChanged(change);',
        replace:
          "    this.#owner.roleChanged(change);\n    if (role === 'leader') this.#owner.leaderReady(term);",
      },
    ],
  },
  {
    id: 'M25',
    what: 'a linearizable read does not ask whether the leader still leads',
    level: 'raft',
    edits: [
      {
        file: 'src/host/group-requests.ts',
        find: '    return promise;\n  }\n\n  async changeMembership(',
        replace:
          '    promise.catch(() => undefined);\n    return Promise.resolve();\n  }\n\n  async changeMembership(',
      },
    ],
  },
  {
    id: 'M27',
    what: 'the table of producers is not replicated',
    level: 'broker',
    edits: [
      {
        file: 'src/partition/partition-state.ts',
        find: '    this.producerTable.encode(w);\n',
        replace: '    new ProducerTable(this.limits.producers).encode(w);\n',
      },
    ],
  },
  {
    id: 'M28',
    what: 'the table of producers is forgotten with a snapshot',
    level: 'broker',
    edits: [
      {
        file: 'src/partition/partition-state.ts',
        find: '    this.producerTable = ProducerTable.decode(r, this.limits.producers);\n',
        replace:
          '    ProducerTable.decode(r, this.limits.producers);\n' +
          '    this.producerTable = new ProducerTable(this.limits.producers);\n',
      },
    ],
  },
  {
    id: 'M29',
    what: 'a commit is taken from a member of an earlier epoch',
    level: 'broker',
    edits: [
      {
        file: 'src/metadata/apply-group-event.ts',
        find: '  if (held === undefined) {\n    return rejected(',
        replace:
          '  if (held === undefined) return undefined;\n  if (held.epoch < 0) {\n    return rejected(',
      },
      {
        file: 'src/metadata/apply-group-event.ts',
        find: 'if (held.epoch <= memberEpoch) return undefined;',
        replace: 'if (held.epoch <= memberEpoch || memberEpoch >= 0) return undefined;',
      },
    ],
  },
  {
    id: 'M30',
    what: 'a partition is given to another member before its owner has released it',
    level: 'broker',
    edits: [
      {
        file: 'src/metadata/consumer-group.ts',
        find: 'revoking: member.isAway ? [] : sortedSlots([...member.revoking, ...surplus]),',
        replace: 'revoking: member.isAway || surplus.length > 0 ? [] : member.revoking,',
      },
    ],
  },
  {
    id: 'X8',
    what: 'a partition counts as released by a member that has yet to hear of it',
    level: 'broker',
    edits: [
      {
        file: 'src/broker/member-session.ts',
        find: 'return told !== undefined && told <= version;',
        replace: 'return told === undefined || told <= version || version >= 0;',
      },
      {
        file: 'src/metadata/decide-consumer-group.ts',
        find: '(slot) => !holds.has(slotKey(slot)) && knewOfRevoking(slot),',
        replace: '(slot) => knewOfRevoking(slot) || !holds.has(slotKey(slot)),',
      },
    ],
  },
  {
    id: 'X9',
    what: 'a commit that was held up takes back a later one',
    level: 'tests',
    tests: ['test/unit/metadata/consumer-group.test.ts'],
    edits: [
      {
        file: 'src/metadata/apply.ts',
        find: 'return sequence > 0 && sequence < last;',
        replace: 'return sequence < 0 && sequence < last;',
      },
    ],
  },
  {
    id: 'X10',
    what: 'a committed offset is not compared with the high watermark',
    level: 'broker',
    edits: [
      {
        file: 'src/broker/watermarks.ts',
        find: 'if (bound !== undefined && bound >= offset) found.set(groupId, bound);',
        replace: 'if (offset >= 0) found.set(groupId, offset as Offset);',
      },
    ],
  },
  {
    id: 'X11',
    what: 'what is processed by the application is committed before it is',
    level: 'broker',
    edits: [
      {
        file: 'src/client/group-offsets.ts',
        find: 'if (offset === undefined || offset === held.settled) return [];',
        replace:
          'if (offset === undefined || offset === held.settled) return [];\n      const ahead = held.cursor?.nextFetch ?? offset;',
      },
      {
        file: 'src/client/group-offsets.ts',
        find: 'return [{ topic: held.topic, partition: held.partition, offset }];',
        replace: 'return [{ topic: held.topic, partition: held.partition, offset: ahead }];',
      },
    ],
  },
  {
    id: 'X12',
    what: 'a reader of what is given up is led on to what is left',
    level: 'broker',
    edits: [
      {
        file: 'src/client/fetch-failures.ts',
        find: 'this.outOfRange(cursor, error, this.onOutOfRange);',
        replace:
          "this.outOfRange(cursor, error, this.onOutOfRange === 'end' ? 'end' : 'beginning');",
      },
    ],
  },
  {
    id: 'M31',
    what: 'a read does not look at the checksum',
    level: 'tests',
    tests: ['test/unit/storage/level-log-store.test.ts'],
    edits: [
      {
        file: 'src/storage/entry-codec.ts',
        find: 'if (crc32c(payload) !== stored.crc) {',
        replace: 'if (crc32c(payload) < 0) {',
      },
    ],
  },
  {
    id: 'M32',
    what: 'a write that failed counts as done',
    level: 'raft',
    edits: [
      {
        file: 'src/host/raft-group-driver.ts',
        find: '(error: unknown) => this.fail(error),\n    );\n  }\n\n  #persisted(',
        replace:
          '() => this.#guard(() => this.#persisted(write, install)),\n    );\n  }\n\n  #persisted(',
      },
    ],
  },
  {
    id: 'M33',
    what: 'records are taken although there is no room for them',
    level: 'tests',
    tests: ['test/unit/broker/disk-guard.test.ts'],
    edits: [
      {
        file: 'src/broker/disk-guard.ts',
        find: 'if (this.shortOf === undefined) return undefined;',
        replace: 'if (this.shortOf === undefined || this.shortOf.freeBytes >= 0) return undefined;',
      },
    ],
  },
  {
    id: 'M34',
    what: 'a damaged replica votes as if it were whole',
    level: 'raft',
    edits: [
      {
        file: `${CORE}/election.ts`,
        find: 'if (replica.needsRepair && !replica.lostTail) return covers(m.lastLog, replica.watermark);',
        replace: 'if (replica.needsRepair && !replica.lostTail) return m.lastLog.index >= 0;',
      },
      {
        file: `${CORE}/election.ts`,
        find: '      granted,\n      ...this.ownDamage(),\n    });\n  }\n\n  onVoteResponse(m',
        replace: '      granted,\n      damaged: false,\n    });\n  }\n\n  onVoteResponse(m',
      },
    ],
  },
  {
    id: 'M35',
    what: 'a replica that begins anew is taken for the one that it was',
    level: 'raft',
    edits: [
      {
        file: `${CORE}/step-leader.ts`,
        find: 'if (peer.incarnation !== m.incarnation) {',
        replace: 'if (peer.incarnation === undefined) {',
      },
    ],
  },
  {
    id: 'M36',
    what: 'entries are written without a sync',
    level: 'tests',
    tests: ['test/unit/storage/level-log-store.test.ts'],
    edits: [
      {
        file: 'src/storage/level-log-store.ts',
        find: 'return this.db.write(operations, { sync });',
        replace: 'return this.db.write(operations, { sync: sync && this.map === undefined });',
      },
    ],
  },
  {
    id: 'M37',
    what: 'a write does not wait for the one before it',
    level: 'tests',
    tests: ['test/conformance/stores.test.ts'],
    edits: [
      {
        file: 'src/storage/level-log-store.ts',
        find: 'else await this.writeBatch(jobs as WriteJob[]);',
        replace: 'else void this.writeBatch(jobs as WriteJob[]);',
      },
    ],
  },
  {
    id: 'M38',
    what: 'a checkpoint says that it stands at another entry than its state',
    level: 'raft',
    edits: [
      {
        file: 'src/host/checkpointer.ts',
        find: 'this.#saving = store.saveCheckpoint({ index, state });',
        replace:
          'this.#saving = store.saveCheckpoint({ index: Math.max(0, index - 1) as LogIndex, state });',
      },
    ],
  },
  {
    id: 'M39',
    what: 'a replica that the metadata does not name is deleted',
    level: 'broker',
    edits: [
      {
        file: 'src/broker/reconciler.ts',
        find: 'if (mayAct && image.tombstones.get(groupId)?.includes(self) === true) {',
        replace:
          'const isBuried = image.tombstones.get(groupId)?.includes(self) === true;\n' +
          '    if (mayAct ? isBuried : !image.groups.has(groupId)) {',
      },
    ],
  },
  {
    id: 'X1',
    what: 'votes do not look at the log of the candidate',
    level: 'raft',
    edits: [
      {
        file: `${CORE}/election.ts`,
        find: 'return replica.log.isCoveredBy(m.lastLog);',
        replace: 'return m.lastLog.index >= 0;',
      },
    ],
  },
  {
    id: 'X2',
    what: 'a completed write counts for what replaced it',
    level: 'raft',
    edits: [
      {
        file: `${CORE}/raft-log.ts`,
        find: 'if (write.attests > this.durableIndex) this.durableIndex = write.attests;',
        replace: 'if (done >= 0) this.durableIndex = this.lastIndex;',
      },
    ],
  },
  {
    id: 'X3',
    what: 'a failed produce says that nothing was appended',
    level: 'broker',
    edits: [
      {
        file: 'src/broker/pending-produce.ts',
        find: 'this.end({ error: unknownOutcome() });\n    this.endFollowers(false);',
        replace:
          "this.end({ error: new BrokerError('INVALID_BATCH', 'not appended') });\n    this.endFollowers(false);",
      },
    ],
  },
  {
    id: 'X5',
    what: 'an expected offset is compared with what is committed',
    level: 'broker',
    edits: [
      {
        file: 'src/broker/partition-appender.ts',
        find: 'pending.expectedOffset !== tenure.logEnd',
        replace: 'pending.expectedOffset !== tenure.state.highWatermark',
      },
    ],
  },
  {
    id: 'X6',
    what: 'a repetition is compared anew',
    level: 'broker',
    edits: [
      {
        file: 'src/broker/partition-appender.ts',
        find: '    if (isIdempotent) {\n      if (!this.validateProducer',
        replace:
          '    if (pending.expectedOffset !== undefined && pending.expectedOffset !== tenure.logEnd) {\n' +
          '      this.contest(tenure, pending, expectationFailed(pending.expectedOffset, tenure.logEnd));\n' +
          '      return undefined;\n    }\n' +
          '    if (isIdempotent) {\n      if (!this.validateProducer',
      },
    ],
  },
  {
    id: 'X7',
    what: 'an expected offset is refused for what may yet be lost',
    level: 'broker',
    edits: [
      {
        file: 'src/broker/partition-appender.ts',
        find: 'pending.refuseAfter(isCommitted ? undefined : last, ',
        replace: 'pending.refuseAfter(isCommitted ? undefined : undefined, ',
      },
    ],
  },
  {
    id: 'X13',
    what: 'compaction takes the last record of a key, too',
    level: 'broker',
    edits: [
      {
        file: 'src/partition/compaction.ts',
        find: 'if (last !== undefined && last > record.offset) return false;',
        replace: 'if (last !== undefined && last >= record.offset) return false;',
      },
    ],
  },
  {
    id: 'X14',
    what: 'compaction takes tombstones at once',
    level: 'broker',
    edits: [
      {
        file: 'src/partition/compaction.ts',
        find: 'return record.value !== undefined || record.offset >= step.tombstonesBelow;',
        replace: 'return record.value !== undefined || record.offset >= step.to;',
      },
    ],
  },
  {
    id: 'X15',
    what: 'a comparison by key does not wait until the keys of the log are known',
    level: 'tests',
    tests: ['test/unit/broker/compare-by-key.test.ts'],
    edits: [
      {
        file: 'src/broker/partition-appender.ts',
        find: 'if (!tenure.keys.isReady) {',
        replace: 'if (!tenure.keys.isReady && tenure.isOver) {',
      },
    ],
  },
  {
    id: 'X16',
    what: 'a comparison by key does not see what is in flight',
    level: 'tests',
    tests: ['test/unit/broker/compare-by-key.test.ts'],
    edits: [
      {
        file: 'src/broker/partition-appender.ts',
        find: 'if (keys !== undefined) tenure.keys.note(keys, baseOffset);',
        replace: 'if (keys !== undefined && tenure.isOver) tenure.keys.note(keys, baseOffset);',
      },
    ],
  },
  {
    id: 'X17',
    what: 'the last offsets of keys outlive the leadership whose entries may be lost',
    level: 'tests',
    tests: ['test/unit/broker/compare-by-key.test.ts'],
    edits: [
      {
        file: 'src/broker/partition-appender.ts',
        find: 'const keys = this.deps.compareKeys((waiting) => this.resume(waiting));',
        replace: 'const keys = (this.kept ??= this.deps.compareKeys((late) => this.resume(late)));',
      },
      {
        file: 'src/broker/partition-appender.ts',
        find: 'private tenure: Tenure | undefined;',
        replace: 'private kept: KeyComparison | undefined;\n  private tenure: Tenure | undefined;',
      },
      {
        file: 'src/broker/partition-appender.ts',
        find: 'for (const pending of tenure.keys.forget()) if',
        replace: 'for (const pending of tenure.keys.isReady ? [] : tenure.keys.forget()) if',
      },
    ],
  },
  {
    id: 'X18',
    what: 'tombstones go before every member has compacted what they stand for',
    level: 'tests',
    tests: ['test/unit/broker/compaction.test.ts'],
    edits: [
      {
        file: 'src/broker/compaction-planner.ts',
        find: 'membersOf(status.membership).filter((id) => id !== self);',
        replace: 'membersOf(status.membership).filter((id) => id < 0 && id !== self);',
      },
    ],
  },
  {
    id: 'X19',
    what: 'a log is compacted beyond the high watermark',
    level: 'tests',
    tests: ['test/unit/broker/compaction.test.ts'],
    edits: [
      {
        file: 'src/broker/compaction-planner.ts',
        find: 'if (minLagMs === 0) return highWatermark;',
        replace: 'if (minLagMs === 0) return offset(highWatermark + 8);',
      },
    ],
  },
  {
    id: 'X20',
    what: 'compaction leaves the first record of a key instead of the last',
    level: 'tests',
    tests: ['test/unit/partition/compaction.test.ts'],
    edits: [
      {
        file: 'src/partition/compaction.ts',
        find: 'this.offsets.set(text, at);',
        replace: 'if (!this.offsets.has(text)) this.offsets.set(text, at);',
      },
      {
        file: 'src/partition/compaction.ts',
        find: 'if (last !== undefined && last > record.offset) return false;',
        replace: 'if (last !== undefined && last !== record.offset) return false;',
      },
    ],
  },
  {
    id: 'X21',
    what: 'retention deletes where the topic is only compacted',
    level: 'tests',
    tests: ['test/unit/broker/compaction.test.ts'],
    edits: [
      {
        file: 'src/broker/partition-replica.ts',
        find: 'const isAsked = this.settings.deletes && !this.isRetentionPending;',
        replace: 'const isAsked = !this.isRetentionPending;',
      },
    ],
  },
  {
    id: 'X22',
    what: 'groups sleep on when the broker of their leader falls silent',
    level: 'raft',
    edits: [
      {
        file: 'src/host/sleepers.ts',
        find: 'if (peer.silentTicks >= this.#lapseTicks) this.#lapsed(id, peer);',
        replace: 'if (peer.silentTicks < 0) this.#lapsed(id, peer);',
      },
    ],
  },
  {
    id: 'X23',
    what: 'a leader falls asleep though a follower lacks entries, which sleeps as well',
    level: 'raft',
    edits: [
      {
        file: `${CORE}/step-leader.ts`,
        find: 'peer.isEven(log.lastIndex) && this.isActive(peer)',
        replace: 'log.lastIndex > 0 && peer.match > 0',
      },
      {
        file: `${CORE}/step-follower.ts`,
        find: 'if (isSame && isWhole && !replica.needsRepair && replica.isHardStateDurable) {',
        replace: 'if (isSame || isWhole || log.lastIndex >= 0) {',
      },
      {
        file: `${CORE}/step-follower.ts`,
        find: '      this.follow(m.last.index);\n      return true;',
        replace: '      return true;',
      },
    ],
  },
  {
    id: 'X24',
    what: 'a leader falls asleep before all that it has is committed',
    level: 'raft',
    edits: [
      {
        file: `${CORE}/step-leader.ts`,
        find: 'Math.min(log.commit, log.durable) === log.lastIndex &&',
        replace: 'log.lastIndex > 0 &&',
      },
      {
        file: `${CORE}/step-leader.ts`,
        find: 'peer.isEven(log.lastIndex) && this.isActive(peer)',
        replace: 'peer.state.length > 0 && log.lastIndex > 0',
      },
    ],
  },
  {
    id: 'X25',
    what: 'pulses that contradict what is known, or come from another life, wake nobody',
    level: 'tests',
    tests: ['test/unit/host/sleep.test.ts'],
    edits: [
      {
        file: 'src/host/sleepers.ts',
        find: 'const DOUBTS_MAX = 2;',
        replace: 'const DOUBTS_MAX = Infinity;',
      },
    ],
  },
  {
    id: 'X26',
    what: 'a follower that its host wakes keeps it to itself',
    level: 'scenarios',
    edits: [
      {
        file: `${CORE}/raft-core.ts`,
        find: "    replica.send({ kind: 'wakeRequest', from: self, to: sleep.leader, term, incarnation });",
        replace:
          "    if (term < 0) replica.send({ kind: 'wakeRequest', from: self, to: sleep.leader, term, incarnation });",
      },
    ],
  },
  {
    id: 'X27',
    what: 'a leader that stood still leads on, by what it had heard before',
    level: 'tests',
    tests: ['test/unit/host/stall.test.ts'],
    edits: [
      {
        file: `${CORE}/step-leader.ts`,
        find: 'peer.heardAtTick = -Infinity;',
        replace: 'peer.heardAtTick += 0;',
      },
    ],
  },
  {
    id: 'X28',
    what: 'an append by key goes ahead wherever the last record of the key is',
    level: 'broker',
    edits: [
      {
        file: 'src/broker/partition-appender.ts',
        find: 'if (last === expected) return true;',
        replace: 'if (last === expected || (last >= 0 && expected >= 0)) return true;',
      },
    ],
  },
  {
    id: 'X29',
    what: 'groups that read a topic do not come to stand at the beginning of what is new in it',
    level: 'broker',
    edits: [
      {
        file: 'src/metadata/apply.ts',
        find: 'for (const group of readers) {',
        replace: 'for (const group of readers.slice(1)) {',
      },
    ],
  },
  {
    id: 'X30',
    what: 'a replica that joins a group that exists already votes at once',
    level: 'tests',
    tests: ['test/unit/host/returned-member.test.ts'],
    edits: [
      {
        file: 'src/storage/new-replica.ts',
        find: 'const isLate = membersOf(bootstrap).length === 0;',
        replace: 'const isLate = membersOf(bootstrap).length < 0;',
      },
    ],
  },
  {
    id: 'X31',
    what: 'a commit goes out as what its member has come back as',
    level: 'tests',
    tests: ['test/unit/client/group-commits.test.ts'],
    edits: [
      {
        file: 'src/client/group-offsets.ts',
        find: 'mustBeIn(as ?? member())',
        replace: 'mustBeIn(member() ?? as)',
      },
    ],
  },
  {
    id: 'X32',
    what: 'a replica believes a repair target that was named to its former life',
    level: 'scenarios',
    edits: [
      {
        file: `${CORE}/step-follower.ts`,
        find: 'return target?.life === this.replica.incarnation;',
        replace: 'return target !== undefined;',
      },
    ],
  },
  {
    id: 'X33',
    what: 'a replica that nobody has filled up is made a voter',
    level: 'tests',
    tests: ['test/unit/host/multi-raft.test.ts'],
    edits: [
      {
        file: 'src/host/group-requests.ts',
        find: 'if (unfilled.length === 0) return;',
        replace: 'if (unfilled.length >= 0) return;',
      },
    ],
  },
  {
    id: 'X34',
    what: 'a batch waits in memory that other replicas use',
    level: 'tests',
    tests: ['test/conformance/stores.test.ts'],
    edits: [
      {
        file: 'src/storage/level-log-store.ts',
        find: 'else if (isLogWritten) await this.lazySync.write(bytesOf(jobs), write);',
        replace:
          'else if (isLogWritten) {\n' +
          '      const operations = buildBatch(jobs, this.map, { oldLast, ...this.context });\n' +
          '      await this.lazySync.write(bytesOf(jobs), (sync) => this.db.write(operations, { sync }));\n' +
          '    }',
      },
    ],
  },
  {
    id: 'X35',
    what: 'a late attempt makes a topic again that was deleted',
    level: 'tests',
    tests: ['test/unit/metadata/apply.test.ts', 'test/unit/broker/cluster.test.ts'],
    edits: [
      {
        file: 'src/metadata/apply.ts',
        find: 'if (state.deletedTopics.has(topicId)) return deletedSince(name);',
        replace: "if (state.deletedTopics.has(topicId) && name === '') return deletedSince(name);",
      },
    ],
  },
  {
    id: 'X36',
    what: 'members are changed by metadata that lags',
    level: 'tests',
    tests: ['test/unit/broker/mover.test.ts'],
    edits: [
      {
        file: 'src/broker/mover.ts',
        find: 'await this.#untilCurrent();',
        replace: 'void this.#untilCurrent().catch(() => undefined);',
      },
    ],
  },
  {
    id: 'X37',
    what: 'a commit that stood in line takes what is in hand for processed, because the member gave up',
    level: 'tests',
    tests: ['test/unit/client/group-commits.test.ts'],
    edits: [
      {
        file: 'src/client/group-offsets.ts',
        find: 'if (holdings.get(held) !== held) return [];',
        replace: '',
      },
    ],
  },
  {
    id: 'X38',
    what: 'a report of an earlier move to the same replicas completes the move under way',
    level: 'tests',
    tests: ['test/unit/metadata/apply.test.ts'],
    edits: [
      {
        file: 'src/metadata/apply.ts',
        find: 'if (targetVersion !== partition.targetVersion) {',
        replace: 'if (targetVersion > partition.targetVersion) {',
      },
    ],
  },
  {
    id: 'X39',
    what: 'a leader that another one has deposed calls a move complete',
    level: 'tests',
    tests: ['test/unit/broker/mover.test.ts'],
    edits: [
      { file: 'src/broker/mover.ts', find: 'await group.readBarrier(BARRIER_MS);', replace: '' },
    ],
  },
  {
    id: 'X40',
    what: 'a move is called complete before its members are committed',
    level: 'tests',
    tests: ['test/unit/broker/mover.test.ts'],
    edits: [
      {
        file: 'src/broker/mover.ts',
        find: `// Over at once where these are the members already; rejects until they are committed.
      await group.changeMembership({ voters: target, learners: [] }, CHANGE_MS);`,
        replace: '',
      },
    ],
  },
  {
    id: 'X41',
    what: 'a metadata leader refuses by its own state alone, without knowing whether it still leads',
    level: 'tests',
    tests: ['test/unit/broker/cluster.test.ts'],
    edits: [
      {
        file: 'src/broker/controller.ts',
        find: `if (decision.kind !== 'propose') {
      await this.#confirmLeadership(tenure);`,
        replace: `if (decision.kind !== 'propose') {`,
      },
    ],
  },
];
