import { PHASES, type Line } from './line.js';

/** The file breaks a rule of the format: it proves nothing either way. */
export class InvalidHistoryError extends Error {
  override readonly name = 'InvalidHistoryError';
  readonly line: number;

  constructor(line: number, reason: string) {
    super(`line ${line}: ${reason}`);
    this.line = line;
  }
}

type Fields = Record<string, unknown>;
/** Says what is wrong with a value, or undefined. */
type Rule = (value: unknown) => string | undefined;

const isNumber = (v: unknown): v is number => typeof v === 'number' && Number.isSafeInteger(v);
const isObject = (v: unknown): v is Fields =>
  typeof v === 'object' && v !== null && !Array.isArray(v);
const rule =
  (holds: (value: unknown) => boolean, what: string): Rule =>
  (value) =>
    holds(value) ? undefined : `must be ${what}`;

const text = rule((v) => typeof v === 'string', 'a string');
const natural = rule((v) => isNumber(v) && v >= 0, 'an integer of at least 0');
const positive = rule((v) => isNumber(v) && v >= 1, 'an integer of at least 1');
const bool = rule((v) => typeof v === 'boolean', 'true or false');
const KEY = /^[^/]+\/(?:0|[1-9]\d*)$/;
const isKey = (v: unknown): boolean => typeof v === 'string' && KEY.test(v);
const key = rule(isKey, 'a key "topic/partition"');
const oneOf = (...words: readonly string[]): Rule =>
  rule((v) => typeof v === 'string' && words.includes(v), words.join(' or '));
const listOf =
  (item: Rule): Rule =>
  (v) => {
    if (!Array.isArray(v)) return 'must be a list';
    for (const one of v as unknown[]) {
      const wrong = item(one);
      if (wrong !== undefined) return `each item ${wrong}`;
    }
    return undefined;
  };
const mapOf =
  (value: Rule): Rule =>
  (v) => {
    if (!isObject(v)) return 'must be an object';
    for (const name in v) {
      if (!KEY.test(name)) return `has "${name}", which is no key`;
      const wrong = value(v[name]);
      if (wrong !== undefined) return `each value ${wrong}`;
    }
    return undefined;
  };
const orNull =
  (inner: Rule): Rule =>
  (v) =>
    v === null ? undefined : inner(v);
const object = rule(isObject, 'an object');

const row: Rule = (v) => {
  if (!Array.isArray(v) || v.length < 2 || v.length > 4) return 'must be a row of 2 to 4';
  const [offset, value, crc, epoch] = v as unknown[];
  if (!isNumber(offset) || offset < 0) return 'must begin with an offset';
  if (typeof value !== 'string' && value !== null) return 'must have a value or null';
  if (v.length >= 3 && typeof crc !== 'string') return 'must have a string as crc';
  if (v.length === 4 && !(isNumber(epoch) && epoch >= 0)) return 'must have an integer as epoch';
  return undefined;
};

const seek: Rule = (v) => (v === 'begin' ? undefined : mapOf(natural)(v));
const topicState: Rule = (v) => {
  if (v === null) return undefined;
  if (!isObject(v)) return 'must be null or an object';
  if (!isNumber(v['partitions'])) return 'must have partitions';
  return v['cfg'] === undefined || isObject(v['cfg']) ? undefined : 'must have an object as cfg';
};
const nemesis: Rule = (v) => {
  if (!isObject(v) || typeof v['kind'] !== 'string') return 'must have a kind';
  const { node, limitMs } = v;
  if (node !== undefined && natural(node) !== undefined && listOf(natural)(node) !== undefined) {
    return 'must have a node id or a list as node';
  }
  return limitMs === undefined ? undefined : natural(limitMs);
};

/** Field rules; a name that ends in "?" may be absent. */
type Shape = Readonly<Record<string, Rule>>;

const CALLS: Readonly<Record<string, { readonly invoke: Shape; readonly ok: Shape }>> = {
  send: {
    invoke: {
      k: key,
      v: text,
      'crc?': text,
      'pid?': natural,
      'pe?': natural,
      'seq?': natural,
      'acks?': text,
    },
    ok: { 'off?': natural, 'epoch?': natural, 'node?': natural },
  },
  assign: { invoke: { v: listOf(key), 'seek?': seek }, ok: {} },
  subscribe: { invoke: { g: text, v: listOf(text), 'reset?': oneOf('begin', 'end') }, ok: {} },
  poll: {
    invoke: { 'lin?': bool },
    ok: { recs: mapOf(listOf(row)), 'hw?': mapOf(natural), 'epoch?': mapOf(natural) },
  },
  commit: { invoke: { g: text, offs: mapOf(natural), 'gen?': natural }, ok: {} },
  committed: {
    invoke: { g: text, ks: listOf(key) },
    ok: { offs: mapOf(orNull(natural)) },
  },
  'topic-create': { invoke: { topic: text, partitions: positive, 'cfg?': object }, ok: {} },
  'topic-delete': { invoke: { topic: text }, ok: {} },
  'topic-config': { invoke: { topic: text, cfg: object }, ok: {} },
  'topic-get': { invoke: { topic: text }, ok: { state: topicState } },
};

const EVENTS: Readonly<Record<string, Shape>> = {
  phase: { v: oneOf(...PHASES), 'format?': natural },
  nemesis: { v: nemesis },
  rebalance: { p: natural, g: text, gen: natural, owned: listOf(key), 'm?': text },
  control: { k: key, offs: listOf(natural) },
  dump: { node: natural, k: key, start: natural, hw: natural, rows: listOf(row), 'chain?': text },
  note: {},
};

const ERROR_SHAPE: Shape = { err: text };

/** Reads and checks one line by itself; order between lines is the session's business. */
export function parseLine(source: string, number: number): Line {
  let fields: unknown;
  try {
    fields = JSON.parse(source);
  } catch {
    throw new InvalidHistoryError(number, 'not JSON');
  }
  if (!isObject(fields)) throw new InvalidHistoryError(number, 'not an object');
  if (fields['i'] !== number) throw new InvalidHistoryError(number, 'i must be the line number');
  checkField(fields, 't', natural, number);
  const { f, type } = fields;
  if (typeof f !== 'string') throw new InvalidHistoryError(number, 'f must be a string');
  const event = Object.hasOwn(EVENTS, f) ? EVENTS[f] : undefined;
  if (event !== undefined) {
    if (type !== undefined) throw new InvalidHistoryError(number, `${f} has no type`);
    checkShape(fields, event, number);
    return fields as unknown as Line;
  }
  const call = Object.hasOwn(CALLS, f) ? CALLS[f] : undefined;
  if (call === undefined) throw new InvalidHistoryError(number, `unknown f "${f}"`);
  checkField(fields, 'p', natural, number);
  switch (type) {
    case 'invoke':
      checkShape(fields, call.invoke, number);
      break;
    case 'ok':
      checkShape(fields, call.ok, number);
      break;
    case 'fail':
    case 'info':
      checkShape(fields, ERROR_SHAPE, number);
      break;
    default:
      throw new InvalidHistoryError(number, 'type must be invoke, ok, fail or info');
  }
  return fields as unknown as Line;
}

function checkShape(fields: Fields, shape: Shape, number: number): void {
  for (const name in shape) {
    const check = shape[name];
    if (check !== undefined) checkField(fields, name, check, number);
  }
}

function checkField(fields: Fields, name: string, check: Rule, number: number): void {
  const isOptional = name.endsWith('?');
  const plain = isOptional ? name.slice(0, -1) : name;
  const value = fields[plain];
  if (value === undefined) {
    if (isOptional) return;
    throw new InvalidHistoryError(number, `${plain} is missing`);
  }
  const wrong = check(value);
  if (wrong !== undefined) throw new InvalidHistoryError(number, `${plain} ${wrong}`);
}
