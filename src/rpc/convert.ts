import { BrokerError } from '../model/errors.js';
import { brokerId, topicId, type BrokerId, type TopicId } from '../model/ids.js';
import { LIMITS } from '../model/limits.js';

/*
 * Checks of fields that came over the wire. proto-loader gives 64-bit fields as doubles and enums that
 * it does not know as numbers, so nothing is what its type says until it went through here. Every
 * failure is INVALID_ARGUMENT and names the field as the .proto does.
 */

export function invalid(field: string, why: string): BrokerError {
  return new BrokerError('INVALID_ARGUMENT', `${field}: ${why}`);
}

/** A 64-bit field, which must be a safe integer in [min, max]. */
export function integerIn(
  value: number,
  field: string,
  min: number,
  max: number = Number.MAX_SAFE_INTEGER,
): number {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
  throw invalid(field, `${value} is not a whole number from ${min} to ${max}`);
}

/** 0 stands for "not given". */
export function optionalInteger(value: number, field: string, max: number): number | undefined {
  return value === 0 ? undefined : integerIn(value, field, 1, max);
}

export function brokerIdIn(value: number, field: string): BrokerId {
  return brokerId(integerIn(value, field, 1, 0x7fff_ffff));
}

/** Empty stands for "not given". */
export function topicIdIn(value: string, field: string): TopicId | undefined {
  if (value === '') return undefined;
  if (/^[0-9a-f]{32}$/.test(value)) return topicId(value);
  throw invalid(field, 'must be 32 lower-case hex digits');
}

/** Names are checked for their length only: the metadata says which exist. */
export function nameIn(value: string, field: string, lengthMax: number): string {
  if (value === '') throw invalid(field, 'is missing');
  if (value.length <= lengthMax) return value;
  throw invalid(field, `${value.length} characters are more than ${lengthMax}`);
}

export function topicNameIn(value: string): string {
  return nameIn(value, 'topic', LIMITS.topicNameLengthMax);
}

export function atMost<T>(list: readonly T[], field: string, max: number): readonly T[] {
  if (list.length <= max) return list;
  throw invalid(field, `${list.length} are more than ${max}`);
}
