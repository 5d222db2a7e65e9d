import { once } from 'node:events';
import { Writable } from 'node:stream';
import { expect } from 'chai';
import { Tally } from '../../../src/cli/commands/produce.js';
import {
  CommandError,
  bytesText,
  describeFailure,
  grouped,
  problemText,
  table,
  timeText,
  withPlainError,
  type Io,
} from '../../../src/cli/io.js';
import { StreamWriter } from '../../../src/cli/stream-writer.js';
import { FakeIo } from '../../support/fake-io.js';
import { BrokerError } from '../../../src/model/errors.js';

const BATCH = {
  topic: 't',
  partition: 0,
  records: 1,
  bytes: 100,
  baseOffset: 0,
  leaderEpoch: 1,
  attempts: 1,
  elapsedMs: 1,
  isDuplicate: false,
  error: undefined,
};

function onTerminal(io: FakeIo): Io {
  const { stdin, stdout, env } = io;
  const stderr = Object.assign(io.stderr, { isTTY: true as const });
  return { stdin, stdout, stderr, env, onInterrupt: () => () => undefined };
}

describe('output', () => {
  it('says in a cell, and in JSON, what is wrong with one of many', () => {
    const error = new BrokerError('NO_QUORUM', 'too few');
    expect(['', problemText(error)]).to.deep.equal([problemText(undefined), 'NO_QUORUM: too few']);
    const one = { partition: 1, error };
    const plain = { partition: 1, error: { code: 'NO_QUORUM', message: 'too few' } };
    expect(withPlainError(one)).to.deep.equal(plain);
  });

  it('groups digits and names sizes', () => {
    expect([0, 999, 1_000, 1_234_567].map((n) => grouped(n))).to.deep.equal([
      '0',
      '999',
      '1,000',
      '1,234,567',
    ]);
    expect(grouped(1_234.567, 2)).to.equal('1,234.57');
    expect([0, 999, 1_500, 2_000_000_000].map((n) => bytesText(n))).to.deep.equal([
      '0 B',
      '999 B',
      '1.5 kB',
      '2.0 GB',
    ]);
  });

  it('tells times that no calendar has as they are', () => {
    expect(timeText(0)).to.equal('1970-01-01T00:00:00.000Z');
    for (const absurd of [9e15, -9e15]) expect(timeText(absurd)).to.equal(String(absurd));
  });

  it('calls a file of this machine that fails by its own error', () => {
    const error = Object.assign(new Error('EIO: i/o error, read'), { syscall: 'read' });
    expect(describeFailure(error, false)).to.equal('millrace: EIO: i/o error, read');
    expect(describeFailure(error, true)).to.contain('"code":"FAILED"');
  });

  const inputs: [string, number | undefined][] = [
    ['a file', 1_000],
    ['standard input', undefined],
  ];
  for (const [name, bytes] of inputs) {
    it(`shows the progress of ${name} on a terminal`, () => {
      const io = new FakeIo();
      const tally = new Tally(onTerminal(io), bytes, {});
      tally.sent = 4_321;
      tally.bytesRead = 500;
      tally.batch({ ...BATCH, records: 4_321 });
      tally.finish();
      expect(io.err).to.contain('4,321 records acknowledged');
      expect(io.err).not.to.match(/NaN|Infinity/);
    });
  }

  it('lines columns up, numbers to the right', () => {
    const lines = table(
      ['NAME', 'COUNT'],
      [
        ['a', 5],
        ['bcdef', 12_345],
        ['x', undefined],
      ],
    );
    expect(lines).to.deep.equal([
      'NAME    COUNT',
      'a           5',
      'bcdef  12,345',
      'x           -',
    ]);
  });

  it('tells failures in one line or as JSON', () => {
    const error = new BrokerError('NO_QUORUM', 'two of three are down');
    expect(describeFailure(error, false)).to.equal('millrace: NO_QUORUM: two of three are down');
    expect(JSON.parse(describeFailure(error, true))).to.deep.equal({
      error: {
        code: 'NO_QUORUM',
        retriable: true,
        outcome: 'unknown',
        message: 'two of three are down',
      },
    });
    expect(describeFailure(new CommandError('no'), false)).to.equal('millrace: no');
  });
});

/** Takes a chunk only when told to. */
class SlowStream extends Writable {
  readonly taken: string[] = [];
  private release: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: 4 });
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.taken.push(chunk.toString());
    this.release = done;
  }

  take(): void {
    const release = this.release;
    this.release = undefined;
    release?.();
  }
}

describe('stream writer', () => {
  it('waits while the stream is full', async () => {
    const stream = new SlowStream();
    const writer = new StreamWriter(stream);
    let isWritten = false;
    const writing = writer.write(Buffer.from('abcdef')).then(() => (isWritten = true));
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(isWritten).to.equal(false);
    stream.take();
    await writing;
    expect(stream.taken).to.deep.equal(['abcdef']);
  });

  it('takes a closed pipe as a wish to stop', async () => {
    const stream = new SlowStream();
    const writer = new StreamWriter(stream);
    const writing = writer.write(Buffer.from('abcdef'));
    stream.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    await writing;
    expect(writer.isClosed).to.equal(true);
    await writer.write(Buffer.from('more'));
    await writer.end();
    expect(stream.taken).to.deep.equal(['abcdef']);
  });

  it('takes any other error for what it is', async () => {
    const stream = new SlowStream();
    const writer = new StreamWriter(stream);
    stream.destroy(Object.assign(new Error('no space'), { code: 'ENOSPC' }));
    await once(stream, 'close').catch(() => undefined);
    const error = await writer.write(Buffer.from('x')).catch((thrown: unknown) => thrown);
    expect(error).to.have.property('message', 'no space');
  });

  it('ends once everything has left', async () => {
    const stream = new SlowStream();
    const writer = new StreamWriter(stream);
    await writer.write(Buffer.from('ab'));
    let isEnded = false;
    const ending = writer.end().then(() => (isEnded = true));
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(isEnded).to.equal(false);
    stream.take();
    await new Promise<void>((resolve) => setImmediate(resolve));
    stream.take();
    await ending;
  });
});
