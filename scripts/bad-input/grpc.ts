import { Client, credentials } from '@grpc/grpc-js';

import type { CommitOffsetsRequest } from '../../src/rpc/gen/millrace/broker/v1/CommitOffsetsRequest.js';
import type { PlainRecord } from '../../src/rpc/gen/millrace/broker/v1/PlainRecord.js';
import type { ProduceRequest } from '../../src/rpc/gen/millrace/broker/v1/ProduceRequest.js';
import type { Error__Output } from '../../src/rpc/gen/millrace/common/v1/Error.js';
import { ANSWER_MS, messageOf, type Case } from './case.js';
import { TOPIC, TRIMMED, type Patient } from './patient.js';

type Done<T> = (error: Error | null, value?: T) => void;

async function grpc<T>(call: (done: Done<T>) => unknown): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    call((error, value) => {
      if (error === null && value !== undefined) resolve(value);
      else reject(error ?? new Error('empty answer'));
    });
  });
}

interface MaybeFailed {
  readonly error: Error__Output | null;
}

const textOf = ({ error }: MaybeFailed): string =>
  error === null ? 'no error' : `${error.code}: ${error.message}`;

export function produce(
  patient: Patient,
  input: string,
  expected: RegExp,
  batch: Uint8Array,
  options: Pick<ProduceRequest, 'acks' | 'expectedOffset'> = {},
): Case {
  const sent = { batch: Buffer.from(batch), ...options };
  return produceCase(patient, input, expected, { topic: TOPIC, ...sent });
}

/** Records that the broker is to pack. */
export function producePlain(
  patient: Patient,
  input: string,
  expected: RegExp,
  topic: string,
  records: PlainRecord[],
): Case {
  return produceCase(patient, input, expected, { topic, plain: { records } });
}

function produceCase(
  patient: Patient,
  input: string,
  expected: RegExp,
  sent: ProduceRequest,
): Case {
  const request: ProduceRequest = { partition: 0, allowForward: true, ...sent };
  return {
    input: `gRPC: ${input}`,
    expected,
    answer: async () =>
      await grpc<MaybeFailed>((done) => patient.connection.records.produce(request, done)).then(
        textOf,
        messageOf,
      ),
  };
}

/** A commit by whoever it says; the answer for its only partition. */
export async function commitAs(patient: Patient, request: CommitOffsetsRequest): Promise<string> {
  return await grpc<{ offsets: MaybeFailed[] }>((done) =>
    patient.connection.cluster.commitOffsets(request, done),
  ).then(({ offsets: [first] }) => (first === undefined ? 'no answer' : textOf(first)), messageOf);
}

/** Bytes that our own client would not send. */
export function rawMessage(
  patient: Patient,
  input: string,
  expected: RegExp,
  bytes: Uint8Array,
): Case {
  const same = (buffer: Buffer): Buffer => buffer;
  return {
    input: `gRPC: ${input}`,
    expected,
    answer: async () => {
      const client = new Client(patient.cluster.bootstrap[0] ?? '', credentials.createInsecure(), {
        'grpc.max_send_message_length': -1,
      });
      const path = '/millrace.broker.v1.Records/Produce';
      const deadline = new Date(Date.now() + ANSWER_MS);
      try {
        return await grpc<Buffer>((done) =>
          client.makeUnaryRequest(path, same, same, Buffer.from(bytes), { deadline }, done),
        ).then(() => 'no error', messageOf);
      } finally {
        client.close();
      }
    },
  };
}

export function fetchAt(patient: Patient, input: string, expected: RegExp, offset: number): Case {
  const request = { partitions: [{ topic: TRIMMED, offset }], allowForward: true };
  return {
    input: `gRPC: ${input}`,
    expected,
    answer: async () =>
      await grpc<{ partitions: MaybeFailed[] }>((done) =>
        patient.connection.records.fetch(request, done),
      ).then(
        ({ partitions: [first] }) => (first === undefined ? 'no answer' : textOf(first)),
        messageOf,
      ),
  };
}
