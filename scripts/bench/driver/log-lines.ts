/** Numbers that look random and are the same on every machine (mulberry32). */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const HOSTS = [
  'edge-03',
  'edge-07',
  'core-1',
  'db-12',
  'cache-4',
  'worker-21',
  'worker-22',
  'lb-0',
];
const LEVELS = ['INFO', 'INFO', 'INFO', 'INFO', 'DEBUG', 'WARN', 'ERROR'];
const PATHS = ['orders', 'users', 'sessions', 'invoices', 'search', 'images', 'health', 'carts'];
const CLASSES = [
  ...[
    'storage.BlockManager',
    'scheduler.TaskSetManager',
    'net.ConnectionPool',
    'auth.TokenService',
  ],
  ...['quorum.FastElection', 'http.RequestLog', 'queue.Dispatcher', 'jobs.RetryPolicy'],
];
const AGENTS = ['Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0', 'curl/8.5.0', 'okhttp/4.12.0'];

const LINES = 60_000;
/** A service writes so many lines before another does: one stream carries one service's file. */
const LINES_OF_SERVICE = 2_500;

/**
 * Log lines of several services: timestamps, levels, ids that come again, addresses, paths. In batches of
 * 256 KiB LZ4 takes them to a fifth to a tenth, 0.15 in all; logs of Apache, OpenSSH, OpenStack, Spark and
 * ZooKeeper go to a sixth to a ninth.
 */
export function logLines(): Buffer {
  const below = numbers(20_240_229);
  const pick = (from: readonly string[]): string => from[below(from.length)] ?? '';
  const hex = (digits: number): string =>
    Array.from({ length: digits }, () => below(16).toString(16)).join('');
  const pool = (size: number, make: () => string): string[] => Array.from({ length: size }, make);
  const addresses = pool(60, () => `10.${below(4)}.${below(32)}.${below(256)}`);
  const users = pool(50, () => hex(8));
  const tenants = pool(12, () => hex(32));
  const services: ((i: number) => string)[] = [
    () =>
      `[http.RequestLog] ${pick(addresses)} "GET /api/v2/${pick(PATHS)}/${below(10_000)}?page=${below(40)} HTTP/1.1" ` +
      `200 ${below(60_000)} ${below(900)}ms "${pick(AGENTS)}" tenant=${pick(tenants)}`,
    () =>
      `[auth.TokenService] session opened for user u-${pick(users)} from ${pick(addresses)} port ${1024 + below(60_000)} ssh2`,
    (i) =>
      `[storage.BlockManager] stored block rdd_${i >> 7}_${i & 127} as bytes in memory (estimated size ${below(90)}.${below(10)} KB, free ${below(400)}.${below(10)} MB)`,
    (i) =>
      `[${pick(CLASSES)}] finished task ${i & 63}.0 in stage ${i >> 6}.0 (TID ${i}) in ${below(4_000)} ms on ${pick(HOSTS)} (${i & 63}/64)`,
    (i) =>
      `[quorum.FastElection] notification: ${1 + below(5)} (leader), 0x100${(i >> 4).toString(16)} (zxid), 0x${below(9)} (round), FOLLOWING (my state)`,
    () =>
      `[net.ConnectionPool] retrying connection to ${pick(addresses)}:8020 after timeout, attempt ${1 + below(5)} of 5, tenant=${pick(tenants)}`,
  ];
  let ms = Date.UTC(2024, 1, 29, 6, 0, 0);
  const lines: string[] = [];
  for (let i = 0; i < LINES; i += 1) {
    // Several lines share a moment.
    ms += below(4) === 0 ? below(40) : 0;
    const service = Math.floor(i / LINES_OF_SERVICE);
    const body = services[service % services.length]?.(i) ?? '';
    const host = HOSTS[service % HOSTS.length] ?? '';
    lines.push(`${new Date(ms).toISOString()} ${host} ${pick(LEVELS)} ${body}`);
  }
  return Buffer.from(`${lines.join('\n')}\n`);
}
