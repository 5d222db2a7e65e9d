import { expect } from 'chai';
import fc from 'fast-check';
import { LineSplitter } from '../../../src/cli/lines.js';

async function split(chunks: readonly Uint8Array[], keepsEnds: boolean): Promise<Buffer[]> {
  const lines: Buffer[] = [];
  const splitter = new LineSplitter((source, start, end) => {
    lines.push(Buffer.from(source.subarray(start, end)));
    return undefined;
  }, keepsEnds);
  // One buffer for all, as a reader that uses its buffer again.
  const shared = Buffer.alloc(64);
  for (const chunk of chunks) {
    shared.fill(0x21);
    shared.set(chunk);
    await splitter.push(shared.subarray(0, chunk.length));
  }
  await splitter.end();
  return lines;
}

const texts = async (input: string, keepsEnds: boolean): Promise<string[]> =>
  (await split([Buffer.from(input)], keepsEnds)).map((l) => l.toString('latin1'));

describe('lines', () => {
  // Bytes that make line ends likely.
  const chunk = fc.array(fc.oneof(fc.constantFrom(0x0a, 0x0d), fc.nat(255)), { maxLength: 60 });
  const chunks = fc.array(
    chunk.map((bytes) => Uint8Array.from(bytes)),
    { maxLength: 8 },
  );

  it('put together again are the input, byte for byte, however it was cut', async () => {
    await fc.assert(
      fc.asyncProperty(chunks, async (input) => {
        const lines = await split(input, true);
        expect(Buffer.concat(lines).equals(Buffer.concat(input))).to.equal(true);
        for (const line of lines.slice(0, -1)) {
          expect(line.indexOf(0x0a)).to.equal(line.length - 1);
        }
        expect(lines.every((l) => l.length > 0)).to.equal(true);
      }),
    );
  });

  it('are the same however the input was cut', async () => {
    await fc.assert(
      fc.asyncProperty(chunks, fc.boolean(), async (input, keepsEnds) => {
        const one = Buffer.concat(input);
        const bytes = Array.from(one, (byte) => Uint8Array.of(byte));
        expect(await split(input, keepsEnds)).to.deep.equal(await split(bytes, keepsEnds));
      }),
      { numRuns: 50 },
    );
  });

  const tables: [string, string[], string[]][] = [
    ['', [], []],
    ['a', ['a'], ['a']],
    ['a\n', ['a\n'], ['a']],
    ['\n\n', ['\n', '\n'], ['', '']],
    ['a\r\nb', ['a\r\n', 'b'], ['a', 'b']],
    ['a\rb\r\n\r\n', ['a\rb\r\n', '\r\n'], ['a\rb', '']],
    ['a\r', ['a\r'], ['a\r']],
  ];
  for (const [input, raw, plain] of tables) {
    it(`of ${JSON.stringify(input)} are ${raw.length}`, async () => {
      expect(await texts(input, true)).to.deep.equal(raw);
      expect(await texts(input, false)).to.deep.equal(plain);
    });
  }

  it('wait for whoever takes them', async () => {
    const log: string[] = [];
    const splitter = new LineSplitter((source, start, end) => {
      log.push(`take ${Buffer.from(source.subarray(start, end)).toString()}`);
      return new Promise((resolve) =>
        setImmediate(() => {
          log.push('room');
          resolve();
        }),
      );
    }, false);
    await splitter.push(Buffer.from('a\nb\nc'));
    await splitter.end();
    expect(log).to.deep.equal(['take a', 'room', 'take b', 'room', 'take c', 'room']);
  });
});
