import type { JoinGroup } from '../../src/rpc/gen/millrace/broker/v1/JoinGroup.js';
import { RawGroupMember } from './raw-group-member.js';

/** The members that the tests of one suite start: all in one topic, and none outlives its test. */
export class RawGroupMembers {
  private readonly defaults: JoinGroup;
  private readonly members: RawGroupMember[] = [];

  constructor(defaults: JoinGroup) {
    this.defaults = defaults;
    afterEach(() => {
      for (const member of this.members.splice(0)) member.kill();
    });
  }

  start(bootstrap: readonly string[], join: JoinGroup): RawGroupMember {
    const member = new RawGroupMember(bootstrap, { ...this.defaults, ...join });
    this.members.push(member);
    return member.start();
  }
}
