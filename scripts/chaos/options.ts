import { parseArgs } from 'node:util';

import type { Needs } from './scenario.js';

const SECONDS_DEFAULT = 60;
const MINUTES_OF_ALL = 10;
const SHARE_MS_MAX = 1_000;
const ACKS_MIN = 100;

/** What to run, as the command line says. */
export interface ChaosOptions {
  readonly mode: 'scenario' | 'several' | 'all' | 'random' | 'list';
  /** One, or several with commas between them. */
  readonly scenario: string;
  readonly seed: number;
  readonly seconds: number;
  readonly faultsMax: number;
  readonly limitMs: number | undefined;
  readonly slack: number;
  readonly shareLimitMs: number;
  /** Acknowledgements a second before the faults, below which a run proves nothing. */
  readonly acksMin: number;
  readonly needs: Needs;
  readonly history: string | undefined;
  readonly outcomes: string | undefined;
  readonly skipDone: boolean;
  readonly keep: boolean;
  readonly json: boolean;
}

/** Throws a RangeError on a value that makes no sense, a TypeError on an unknown option. */
export function chaosOptions(argv: readonly string[]): ChaosOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      scenario: { type: 'string' },
      all: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      random: { type: 'string' },
      minutes: { type: 'string' },
      seconds: { type: 'string' },
      faults: { type: 'string' },
      seed: { type: 'string' },
      brokers: { type: 'string' },
      partitions: { type: 'string' },
      'records-per-second': { type: 'string' },
      'limit-ms': { type: 'string' },
      slack: { type: 'string' },
      'share-limit-ms': { type: 'string' },
      'acks-min': { type: 'string' },
      history: { type: 'string' },
      outcomes: { type: 'string' },
      'skip-done': { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const { all, list, random, minutes, seconds, faults } = values;
  const chosen = [all, list, random !== undefined, values.scenario !== undefined];
  if (chosen.filter(Boolean).length > 1) {
    throw new RangeError('choose one of --scenario, --all, --random and --list');
  }
  const timed = minutes === undefined ? seconds : String(60 * positive('minutes', minutes, 0));
  const untold = faults === undefined ? (all ? 60 * MINUTES_OF_ALL : SECONDS_DEFAULT) : 86_400;
  const { scenario = 'kill-leader' } = values;
  const named = scenario.includes(',') ? 'several' : 'scenario';
  const mode = all ? 'all' : list ? 'list' : random === undefined ? named : 'random';
  if (values['skip-done'] && mode !== 'all' && mode !== 'several') {
    throw new RangeError('--skip-done is for --all and for several scenarios');
  }
  if (values.history !== undefined && (mode === 'all' || mode === 'several')) {
    throw new RangeError('--history is for one run');
  }
  return {
    ...{ mode, scenario },
    seed: positive('seed', values.seed ?? random, 1),
    seconds: positive('seconds', timed, untold),
    faultsMax: positive('faults', faults, Number.POSITIVE_INFINITY),
    limitMs:
      values['limit-ms'] === undefined ? undefined : positive('limit-ms', values['limit-ms'], 0),
    slack: positive('slack', values.slack, 1),
    shareLimitMs: positive('share-limit-ms', values['share-limit-ms'], SHARE_MS_MAX),
    acksMin: positive('acks-min', values['acks-min'], ACKS_MIN),
    needs: {
      ...given('brokers', values.brokers),
      ...given('partitions', values.partitions),
      ...given('recordsPerSecond', values['records-per-second']),
    },
    history: values.history,
    outcomes: values.outcomes,
    skipDone: values['skip-done'],
    keep: values.keep,
    json: values.json,
  };
}

function positive(name: string, text: string | undefined, untold: number): number {
  if (text === undefined) return untold;
  const value = Number(text);
  if (!(value > 0)) throw new RangeError(`--${name} must be a positive number`);
  return value;
}

/** The options that say these needs again, for a run in a process of its own. */
export function needsAsOptions({ brokers, partitions, recordsPerSecond }: Needs): string[] {
  return [
    ...(brokers === undefined ? [] : ['--brokers', String(brokers)]),
    ...(partitions === undefined ? [] : ['--partitions', String(partitions)]),
    ...(recordsPerSecond === undefined ? [] : ['--records-per-second', String(recordsPerSecond)]),
  ];
}

function given(name: string, text: string | undefined): Record<string, number> {
  return text === undefined ? {} : { [name]: positive(name, text, 0) };
}
