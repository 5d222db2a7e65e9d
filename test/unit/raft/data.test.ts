import { join } from 'node:path';
import { describeDataFiles } from '../../support/data-driven.js';
import { raftScript } from '../../support/raft-script.js';

const FOLDER = join(import.meta.dirname, '../../data/raft');

describe('raft, as dialogues', () => {
  describeDataFiles(FOLDER, raftScript);
});
