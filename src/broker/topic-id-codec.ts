import { readTopicId, writeTopicId } from '../metadata/codec-parts.js';
import type { TopicId } from '../model/ids.js';
import type { Codec } from './peer-op.js';

export const topicIdCodec: Codec<TopicId> = { write: writeTopicId, read: readTopicId };
