/**
 * The package's entry point `millrace/assignor`: what an assignor of one's own is written against.
 * @module assignor
 */

export type { TopicId } from '../../model/ids.js';
export type { Slot } from '../consumer-group.js';
export type {
  Assignment,
  Assignor,
  AssignorInput,
  AssignorMember,
  AssignorTopic,
} from './assignor.js';
