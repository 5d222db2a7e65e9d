import { compareStrings } from '../base/collections.js';
import type { LogIndex } from '../model/ids.js';
import { METADATA_LIMITS } from './limits.js';
import type { TopicConfig } from './topic-config.js';

/** One setting that a change touched; absent: the default. */
export interface ConfigKeyChange {
  readonly key: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** One change of a topic's settings. */
export interface ConfigChange {
  /** Index of the metadata entry that made it: the settings' version from then on. */
  readonly version: LogIndex;
  /** Their version before. */
  readonly previous: LogIndex;
  /** The metadata leader's time of the change. */
  readonly timeMs: number;
  /** By key, ascending; never empty. */
  readonly keys: readonly ConfigKeyChange[];
}

/** A topic's settings, and how they came to be what they are. */
export interface VersionedConfig {
  readonly config: TopicConfig;
  /** 0: never altered since its creation, or since settings have versions. */
  readonly configVersion: LogIndex;
  /** The latest changes, oldest first. Invariant: versions rise, the last is configVersion. */
  readonly configHistory: readonly ConfigChange[];
}

/** With these settings in place; as it was, if they are the same. */
export function withConfig(
  current: VersionedConfig,
  config: TopicConfig,
  at: { readonly index: LogIndex; readonly timeMs: number },
): VersionedConfig {
  const keys = differences(current.config, config);
  if (keys.length === 0) return current;
  const change: ConfigChange = {
    version: at.index,
    previous: current.configVersion,
    timeMs: at.timeMs,
    keys,
  };
  const history = [...current.configHistory, change].slice(-METADATA_LIMITS.configHistoryMax);
  return { config, configVersion: at.index, configHistory: history };
}

function differences(before: TopicConfig, after: TopicConfig): ConfigKeyChange[] {
  const keys = [...new Set([...before.keys(), ...after.keys()])].sort(compareStrings);
  return keys
    .map((key) => ({ key, before: before.get(key), after: after.get(key) }))
    .filter((change) => change.before !== change.after);
}
