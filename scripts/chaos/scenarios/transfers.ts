import type { Scenario } from '../scenario.js';

const ATTEMPTS_FAILED_SHARE_MAX = 0.5;

/** Leadership that is handed over on purpose. */
export const TRANSFERS: readonly Scenario[] = [
  {
    id: 'D17',
    title: 'leadership handed over all the time, one partition after another each second',
    onWhole: false,
    everyMs: 1_000,
    random: 'beside',
    strike: async (stage, turn) => {
      const partition = turn % stage.partitions;
      const key = `${stage.topic}/${partition}`;
      const isOver = stage.fault({ kind: 'transfer', nodes: [], keys: [key] });
      try {
        await stage.admin.transferLeadership({ topic: stage.topic, partition });
        stage.count('transfers');
      } catch {
        stage.count('transfers refused');
      }
      isOver();
    },
    verify: (stage) => {
      const { transfers = 0, 'transfers refused': refused = 0 } = stage.figures;
      if (transfers === 0 || refused > transfers * ATTEMPTS_FAILED_SHARE_MAX) {
        stage.doubt(`${refused} transfers were refused, ${transfers} made`);
      }
      return Promise.resolve();
    },
  },
];
