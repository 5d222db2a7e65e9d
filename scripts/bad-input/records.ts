import { setTimeout as sleep } from 'node:timers/promises';
import type { ProducerRecord } from '../../src/client/index.js';
import type { PlainRecord } from '../../src/rpc/gen/millrace/broker/v1/PlainRecord.js';
import { BrokerError } from '../../src/model/errors.js';
import { LIMITS } from '../../src/model/limits.js';
import type { Case } from './case.js';
import { producePlain } from './grpc.js';
import { TABLE, type Patient } from './patient.js';

const HEADERS_MAX = LIMITS.recordHeadersMax;
/** Less than a batch may be, with what there is of it around a record. */
const FITS = LIMITS.batchBytesDefault - 200;
const TOO_LONG = LIMITS.batchBytesDefault;
/** Brokers use a setting from when they hear of it. */
const HEARD_WITHIN_MS = 5_000;
const POLL_MS = 50;

/** Keys and headers, at their limits and beyond, and records that a compacted topic cannot keep. */
export function records(p: Patient): Case[] {
  const tooLarge = /BATCH_TOO_LARGE: .*max\.batch\.bytes/;
  const keyless = /INVALID_BATCH: .*no key.*cleanup\.policy/;
  return [
    send(p, 'as many headers as may be', /^done$/, { headers: namedHeaders(HEADERS_MAX) }),
    send(p, 'one header more', /INVALID_ARGUMENT: .*headers/, {
      headers: namedHeaders(HEADERS_MAX + 1),
    }),
    send(p, 'a key as long as may be', /^done$/, { key: new Uint8Array(FITS) }),
    send(p, 'a longer key', tooLarge, { key: new Uint8Array(TOO_LONG) }),
    send(p, 'a header that is longer', tooLarge, { headers: { name: new Uint8Array(TOO_LONG) } }),
    send(p, 'a header with a longer name', tooLarge, { headers: { ['x'.repeat(TOO_LONG)]: '' } }),
    plain(p, 'as many headers as may be', /^no error$/, { headers: headers(HEADERS_MAX) }),
    plain(p, 'one header more', /INVALID_ARGUMENT: .*plain\.records\[0\]\.headers/, {
      headers: headers(HEADERS_MAX + 1),
    }),
    plain(p, 'a key as long as may be', /^no error$/, { key: Buffer.alloc(FITS) }),
    plain(p, 'a longer key', tooLarge, { key: Buffer.alloc(TOO_LONG) }),
    plain(p, 'a header that is longer', tooLarge, {
      headers: [{ key: 'name', value: Buffer.alloc(TOO_LONG) }],
    }),
    compacted(p, keyless),
    send(p, 'no key, once its topic is compacted', keyless, { key: undefined }),
    plain(p, 'no key, once its topic is compacted', keyless, {}),
  ];
}

function namedHeaders(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`header ${i}`, 'x']));
}

function headers(count: number): NonNullable<PlainRecord['headers']> {
  return Array.from({ length: count }, (_, i) => ({ key: `header ${i}`, value: Buffer.from('x') }));
}

type Fields = Omit<ProducerRecord, 'topic'>;

function send(p: Patient, input: string, expected: RegExp, fields: Fields): Case {
  const record = { topic: TABLE, key: 'key', value: 'x', ...fields };
  return { input: `send: ${input}`, expected, answer: async () => await sent(p, record) };
}

async function sent(p: Patient, record: ProducerRecord): Promise<string> {
  const producer = p.client.producer();
  try {
    await producer.send(record);
    return 'done';
  } catch (thrown) {
    const { code, message } = BrokerError.from(thrown);
    return `${code}: ${message}`;
  } finally {
    await producer.close();
  }
}

function plain(p: Patient, input: string, expected: RegExp, fields: PlainRecord): Case {
  return producePlain(p, input, expected, TABLE, [{ value: Buffer.from('x'), ...fields }]);
}

/** Records without a key were fine; the topic becomes a compacted one, and they are not any more. */
function compacted(p: Patient, expected: RegExp): Case {
  return {
    input: 'send: no key, while compaction is turned on',
    expected,
    answer: async () => {
      const record = { topic: TABLE, value: 'x' };
      const before = await sent(p, record);
      if (before !== 'done') return `before: ${before}`;
      await p.client.admin.alterTopic({ topic: TABLE, set: { 'cleanup.policy': 'compact' } });
      const untilMs = performance.now() + HEARD_WITHIN_MS;
      for (;;) {
        const answer = await sent(p, record);
        if (answer !== 'done' || performance.now() > untilMs) return answer;
        await sleep(POLL_MS);
      }
    },
  };
}
