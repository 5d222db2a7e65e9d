// THE HOUSE PLAN: what each floor of src/ may import. Think hard before changing a line, and
// write an ADR (docs/adr/) that says why.
const FLOORS = {
  base: [],
  model: ['base'],
  raft: ['base', 'model'],
  metadata: ['base', 'model'],
  partition: ['base', 'model'],
  ports: ['base', 'model', 'raft'],
  host: ['base', 'model', 'raft', 'ports'],
  broker: ['base', 'model', 'metadata', 'partition', 'ports', 'host'],
  storage: ['base', 'model', 'raft', 'ports'],
  rpc: ['base', 'model', 'raft', 'ports'],
  client: ['base', 'model', 'ports', 'rpc'],
  api: ['base', 'model', 'ports', 'rpc', 'broker'],
  config: ['base', 'model'],
  cli: ['base', 'model', 'config', 'client', 'main', 'storage'],
  main: [
    'base',
    'model',
    'raft',
    'ports',
    'metadata',
    'partition',
    'host',
    'broker',
    'storage',
    'rpc',
    'client',
    'api',
    'config',
  ],
  testing: ['base', 'model', 'raft', 'ports', 'broker', 'config', 'storage', 'client', 'main'],
};
// The npm packages a floor may use; every other package is refused there.
const NPM = {
  storage: ['level', 'classic-level'],
  rpc: ['@grpc', 'protobufjs', 'long'],
  api: ['@grpc', 'grpc-health-check'],
  client: ['@grpc', 'snappy', 'lz4-napi', 'fzstd'],
  config: ['zod', 'yaml'],
  cli: ['commander', 'cli-progress'],
  main: ['pino', 'prom-client', '@node-rs/crc32', 're2js'],
};
const NODE_OK = ['storage', 'rpc', 'api', 'cli', 'config', 'main', 'client', 'testing'];
const TYPES_ONLY_RAFT = ['ports', 'storage', 'rpc', 'testing'];

const escape = (s) => s.replace(/[/.]/g, '\\$&');
const forbidden = [
  { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
  { name: 'no-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
];
for (const [floor, below] of Object.entries(FLOORS)) {
  forbidden.push({
    name: `floor:${floor}`,
    severity: 'error',
    from: { path: `^src/${floor}/` },
    to: { path: '^src/', pathNot: `^src/(${[floor, ...below].join('|')})/` },
  });
  forbidden.push({
    name: `npm:${floor}`,
    severity: 'error',
    from: { path: `^src/${floor}/` },
    to: {
      path: 'node_modules/',
      pathNot: `node_modules/(${(NPM[floor] ?? ['$none']).map(escape).join('|')})`,
    },
  });
  if (!NODE_OK.includes(floor)) {
    forbidden.push({
      name: `node:${floor}`,
      severity: 'error',
      from: { path: `^src/${floor}/` },
      to: { dependencyTypes: ['core'] },
    });
  }
}
for (const floor of TYPES_ONLY_RAFT) {
  forbidden.push({
    name: `types-only:${floor}->raft`,
    severity: 'error',
    from: { path: `^src/${floor}/` },
    to: { path: '^src/raft/', dependencyTypesNot: ['type-only'] },
  });
}
module.exports = {
  forbidden,
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
  },
};
