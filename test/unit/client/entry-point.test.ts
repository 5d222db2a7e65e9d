import { expect } from 'chai';
import { load } from '../../support/loaded.js';

const ROOT = new URL('../../../', import.meta.url);

/** Everything of a client that a program has before it needs a codec. */
const USE = `
  const millrace = new entry.MillraceClient({ bootstrap: '127.0.0.1:1' });
  millrace.producer();
  millrace.consumer({ topic: 't' });
  await millrace.close();`;
/** What gRPC brings along; the loaders are those of the test. */
const PACKAGES =
  /^(@grpc\/(grpc-js|proto-loader)|protobufjs|@protobufjs\/\w+|long|lodash\.camelcase|@js-sdsl\/ordered-map|tsx|esbuild|get-tsconfig|resolve-pkg-maps)$/;

describe('the entry point millrace/client', function () {
  this.timeout(120_000);

  for (const entry of ['./client', '.']) {
    it(`${entry} loads no native module and nothing of the broker`, async () => {
      const { files, packages, native } = await load(entry, USE);
      expect(files).to.include('src/client/index.ts');
      expect(files.filter((f) => !/^src\/(base|model|ports|rpc|client)\//.test(f))).to.be.empty;
      expect(packages).to.include('@grpc/grpc-js');
      expect(packages.filter((name) => !PACKAGES.test(name))).to.be.empty;
      expect(native.atEnd).to.be.empty;
    });
  }

  it('loads a native codec when it is first used', async () => {
    const codecs = new URL('src/client/compression/codecs.ts', ROOT).href;
    const { packages, native } = await load(
      './client',
      `const { Codecs } = await import(${JSON.stringify(codecs)});
      await new Codecs().compress('snappy', new Uint8Array(100));`,
    );
    expect(packages).to.include('snappy');
    expect(native.atImport).to.be.empty;
    expect(native.atEnd.join()).to.match(/snappy.*\.node/);
  });
});
