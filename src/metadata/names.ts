import { LIMITS } from '../model/limits.js';

const NAME = /^[A-Za-z0-9._-]+$/;

function nameProblem(kind: string, name: string, lengthMax: number): string | undefined {
  if (name.length === 0) return `${kind} is empty`;
  if (name.length > lengthMax) {
    return `${kind} has ${name.length} characters, more than ${lengthMax}`;
  }
  if (name === '.' || name === '..') return `${kind} must not be ${JSON.stringify(name)}`;
  if (NAME.test(name)) return undefined;
  return `${kind} ${JSON.stringify(name)} has characters other than a-z, A-Z, 0-9, dot, underscore, hyphen`;
}

const RESERVED = '__';

/** What is wrong with a topic's name; undefined if nothing. */
export function topicNameProblem(name: string): string | undefined {
  const problem = nameProblem('topic name', name, LIMITS.topicNameLengthMax);
  if (problem !== undefined || !name.startsWith(RESERVED)) return problem;
  return `topic name ${JSON.stringify(name)} starts with ${RESERVED}, which is reserved for the system`;
}

/** What is wrong with a consumer group's name: any text but control characters will do. */
export function groupNameProblem(name: string): string | undefined {
  if (name.length === 0) return 'group name is empty';
  if (name.length > LIMITS.groupNameLengthMax) {
    return `group name has ${name.length} characters, more than ${LIMITS.groupNameLengthMax}`;
  }
  return /^[^\p{Cc}\p{Cs}]+$/u.test(name) ? undefined : 'group name has control characters';
}

/** Topic ids are 16 bytes in lower-case hex. */
export function isTopicId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}
