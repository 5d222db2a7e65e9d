import type { Case } from './case.js';
import { command } from './command-line.js';
import { TRIMMED, type Patient } from './patient.js';

/** What is asked while most brokers are gone. */
export function noQuorum(p: Patient): Case[] {
  const reason =
    /(NO_QUORUM|LEADER_UNKNOWN|DEADLINE_EXCEEDED|UNKNOWN_OUTCOME|BROKER_UNAVAILABLE).*\w/;
  const deadline = ['--timeout', '4000'];
  const produceArgs = ['produce', TRIMMED, '--delivery-timeout', '4000', ...deadline];
  const wrapped = (inner: Case): Case => ({
    ...inner,
    answer: async () => await withoutQuorum(p, async () => await inner.answer()),
  });
  return [
    wrapped(command(p, 'produce without a quorum', reason, produceArgs, 'x\n')),
    wrapped(
      command(p, 'create a topic without a quorum', reason, ['topic', 'create', 'x', ...deadline]),
    ),
  ];
}

/** Two of three brokers are gone while `run` does. */
async function withoutQuorum(p: Patient, ask: () => Promise<string>): Promise<string> {
  const gone = [p.cluster.broker(2), p.cluster.broker(3)];
  await Promise.all(gone.map(async (b) => await b.kill()));
  try {
    return await ask();
  } finally {
    for (const b of gone) b.start();
    await Promise.all(gone.map(async (b) => await b.ready()));
  }
}
