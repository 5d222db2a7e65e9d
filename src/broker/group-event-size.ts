import type { GroupEvent } from '../metadata/group-event.js';

/** About what the event takes in a command, rather more than less. */
export function roughBytesOf(event: GroupEvent): number {
  switch (event.kind) {
    case 'member': {
      const { topics, pattern } = event.profile;
      return topics.reduce((sum, topic) => sum + topic.length, 300 + pattern.length * 2);
    }
    case 'target':
      return event.changes.reduce((sum, { slots }) => sum + 64 + slots.length * 6, 64);
    case 'release':
    case 'deleteOffsets':
      return 64 + event.slots.length * 8;
    default:
      return 64;
  }
}
