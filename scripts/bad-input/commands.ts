import type { Case } from './case.js';
import { command } from './command-line.js';
import { TOPIC, TRIMMED, type Patient } from './patient.js';

const MIB = 1024 * 1024;

/** What users type. */
export function commandLines(p: Patient): Case[] {
  const long = 'x'.repeat(250);
  const name = /INVALID_TOPIC_NAME: /;
  const unknown = /UNKNOWN_TOPIC: /;
  return [
    command(p, 'produce to an unknown topic', unknown, ['produce', 'nowhere'], 'x\n'),
    command(p, 'consume an unknown topic', unknown, ['consume', 'nowhere', '-b', '-e']),
    command(p, 'describe an unknown topic', unknown, ['topic', 'describe', 'nowhere']),
    command(p, 'delete an unknown topic', unknown, ['topic', 'delete', 'nowhere']),
    command(p, 'create an existing topic', /TOPIC_EXISTS: /, ['topic', 'create', TOPIC]),
    command(p, 'replication factor 4 on 3 brokers', /INVALID_REPLICATION_FACTOR: /, [
      ...['topic', 'create', 'x', '-r', '4'],
    ]),
    command(p, '0 partitions', /--partitions/, ['topic', 'create', 'x', '-p', '0']),
    command(p, '10^6 partitions', /INVALID_PARTITIONS: /, [
      'topic',
      'create',
      'x',
      '-p',
      '1000000',
    ]),
    command(p, '2^32 partitions', /2147483647/, ['topic', 'create', 'x', '-p', '4294967296']),
    command(p, 'a topic named a/b', name, ['topic', 'create', 'a/b']),
    command(p, 'a topic named ..', name, ['topic', 'create', '..']),
    command(p, 'a topic named with 250 characters', name, ['topic', 'create', long]),
    command(p, 'a topic named __proto__', name, ['topic', 'create', '__proto__']),
    command(
      p,
      'produce to __proto__',
      /INVALID_TOPIC_NAME|UNKNOWN_TOPIC/,
      ['produce', '__proto__'],
      'x\n',
    ),
    command(p, 'describe __proto__', /INVALID_TOPIC_NAME|UNKNOWN_TOPIC/, [
      'topic',
      'describe',
      '__proto__',
    ]),
    command(p, 'delete __proto__', /INVALID_TOPIC_NAME|UNKNOWN_TOPIC/, [
      'topic',
      'delete',
      '__proto__',
    ]),
    command(
      p,
      'a record over the limit',
      /BATCH_TOO_LARGE: /,
      ['produce', TOPIC],
      new Uint8Array(9 * MIB).fill(97),
    ),
    command(
      p,
      'a partition that is not there',
      /UNKNOWN_PARTITION: /,
      ['produce', TOPIC, '-p', '99'],
      'x\n',
    ),
    command(
      p,
      'an expected offset beyond the end',
      /EXPECTATION_FAILED: .*ends at/,
      ['produce', TOPIC, '-p', '0', '--expect-offset', '999999999'],
      'x\n',
    ),
    command(
      p,
      'an expected offset for more than a batch',
      /BATCH_TOO_LARGE: the input is larger/,
      ['produce', TOPIC, '-p', '0', '--expect-offset', '0'],
      new Uint8Array(9 * MIB).fill(97),
    ),
    ...['ms', 'bytes', 'records'].flatMap((what) =>
      ['0', '-2'].map((value) =>
        command(
          p,
          `retention.${what} of ${value}`,
          new RegExp(`INVALID_CONFIG: .*retention\\.${what} .* or -1 for no limit; got "${value}"`),
          ['topic', 'alter', TOPIC, '--set', `retention.${what}=${value}`],
        ),
      ),
    ),
    ...[
      'cleanup.policy=shrink',
      'delete.retention.ms=-1',
      'max.compaction.lag.ms=0',
      'min.cleanable.dirty.ratio=1.5',
      'min.compaction.lag.ms=-1',
    ].map((setting) => {
      const key = setting.split('=')[0] ?? '';
      const expected = new RegExp(
        `INVALID_CONFIG: .*${key.replaceAll('.', '\\.')} must be .* got "`,
      );
      return command(p, setting, expected, ['topic', 'alter', TOPIC, '--set', setting]);
    }),
    command(p, 'a new topic with retention.ms of 0', /INVALID_CONFIG: .*retention\.ms .* got "0"/, [
      ...['topic', 'create', 'x', '-c', 'retention.ms=0'],
    ]),
    command(p, 'a trim beyond the end', /1 of 1 partitions cannot be trimmed, so nothing/, [
      ...['topic', 'trim', TRIMMED, '--all', '--before', '999', '--yes'],
    ]),
    command(p, 'a trim that nobody confirmed', /give --yes, or --dry-run/, [
      ...['topic', 'trim', TRIMMED, '--all', '--before', 'end'],
    ]),
    command(p, 'an offset beyond the end', /OFFSET_OUT_OF_RANGE: /, [
      'consume',
      TRIMMED,
      '-o',
      '999',
      '-e',
    ]),
    command(p, 'an offset before the start', /OFFSET_OUT_OF_RANGE: /, [
      'consume',
      TRIMMED,
      '-o',
      '0',
      '-e',
    ]),
    command(p, 'leadership for broker 9', /[A-Z_]+: .*9/, [
      'cluster',
      'transfer',
      TOPIC,
      '0',
      '--to',
      '9',
    ]),
    command(p, 'replicas on broker 9', /[A-Z_]+: .*9/, [
      'cluster',
      'move',
      TOPIC,
      '0',
      '--replicas',
      '1,2,9',
    ]),
  ];
}
