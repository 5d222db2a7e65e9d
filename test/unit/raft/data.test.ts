import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describeDataFiles } from '../../support/data-driven.js';
import { raftScript } from '../../support/raft-script.js';

const FOLDER = join(import.meta.dirname, '../../data/raft');

for (const topic of readdirSync(FOLDER, { withFileTypes: true })) {
  if (!topic.isDirectory()) continue;
  describe(`raft, as dialogues: ${topic.name}`, () => {
    describeDataFiles(join(FOLDER, topic.name), raftScript);
  });
}
