import { expect } from 'chai';
import { protoPath as healthProtoPath } from 'grpc-health-check';
import descriptor, {
  type IDescriptorProto,
  type IFileDescriptorProto,
} from 'protobufjs/ext/descriptor/index.js';
import { reflectedPackage } from '../../../src/rpc/reflection.js';

function reflectedFiles(): Map<string, IFileDescriptorProto> {
  const files = new Map<string, IFileDescriptorProto>();
  for (const { fileDescriptorProtos } of Object.values(reflectedPackage([healthProtoPath]))) {
    if (!Array.isArray(fileDescriptorProtos)) continue;
    for (const bytes of fileDescriptorProtos) {
      const file: IFileDescriptorProto = descriptor.FileDescriptorProto.toObject(
        descriptor.FileDescriptorProto.decode(bytes),
      );
      files.set(file.name ?? '', file);
    }
  }
  return files;
}

describe('reflected descriptors', () => {
  const files = reflectedFiles();
  const messages: [IFileDescriptorProto, IDescriptorProto][] = [...files.values()].flatMap((file) =>
    (file.messageType ?? []).map((m): [IFileDescriptorProto, IDescriptorProto] => [file, m]),
  );

  it('tell of the client API and health, and of nothing between brokers', () => {
    const services = [...files.values()].flatMap((file) =>
      (file.service ?? []).map((s) => `${file.package ?? ''}.${s.name ?? ''}`),
    );
    expect(services.sort()).to.deep.equal([
      'grpc.health.v1.Health',
      'millrace.broker.v1.Cluster',
      'millrace.broker.v1.Groups',
      'millrace.broker.v1.Records',
    ]);
  });

  it('name every type in full, and import the file it stands in', () => {
    const named = new Set<string>();
    for (const [file, message] of messages) {
      const name = `.${file.package ?? ''}.${message.name ?? ''}`;
      named.add(name);
      for (const inner of [...(message.nestedType ?? []), ...(message.enumType ?? [])]) {
        named.add(`${name}.${inner.name ?? ''}`);
      }
    }
    for (const file of files.values()) {
      for (const { name } of file.enumType ?? []) named.add(`.${file.package ?? ''}.${name ?? ''}`);
    }
    const references = messages.flatMap(([, m]) => (m.field ?? []).map((f) => f.typeName ?? ''));
    const used = references.filter((name) => name !== '');
    expect(used.length).to.be.greaterThan(20);
    expect(used.filter((name) => !named.has(name))).to.deep.equal([]);
    const records = [...files.values()].find((f) => f.package === 'millrace.broker.v1');
    const common = [...files.values()].find((f) => f.package === 'millrace.common.v1');
    expect(records?.dependency).to.deep.equal([common?.name]);
  });

  it('keep the names of fields, and name map entries as the language does', () => {
    const topic = messages.find(([, m]) => m.name === 'TopicMetadata')?.[1];
    expect(topic?.field?.map((f) => f.name)).to.include('topic_id');
    expect(topic?.nestedType?.map((t) => t.name)).to.deep.equal(['ConfigEntry']);
    expect(topic?.field?.find((f) => f.name === 'config')?.typeName).to.equal(
      '.millrace.broker.v1.TopicMetadata.ConfigEntry',
    );
    const described = messages.find(([, m]) => m.name === 'DescribeTopicResponse')?.[1];
    expect(described?.nestedType?.map((t) => t.name)).to.include('EffectiveConfigEntry');
  });
});
