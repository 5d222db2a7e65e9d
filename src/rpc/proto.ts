import { fileURLToPath } from 'node:url';
import { loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync, type Options, type PackageDefinition } from '@grpc/proto-loader';
import type { ProtoGrpcType as ClusterTypes } from './gen/cluster.js';
import type { ProtoGrpcType as GroupTypes } from './gen/group.js';
import type { ProtoGrpcType as PeerTypes } from './gen/peer.js';
import type { ProtoGrpcType as RecordsTypes } from './gen/records.js';

/**
 * How protobuf looks in JavaScript; src/rpc/gen is generated for exactly this (scripts/gen-proto.ts).
 * `longs: Number` loses precision above 2^53 without a word, so whoever reads a 64-bit field checks
 * that it is safe (convert.ts).
 */
export const LOADER_OPTIONS: Options = {
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
};

/** proto/ stands beside src/ and beside dist/, so the same path serves both. */
export const PROTO_ROOT = fileURLToPath(new URL('../../proto/', import.meta.url));

export const CLIENT_FILES = [
  'millrace/broker/v1/records.proto',
  'millrace/broker/v1/cluster.proto',
  'millrace/broker/v1/group.proto',
];
const PEER_FILES = ['millrace/peer/v1/peer.proto', 'millrace/common/v1/types.proto'];

type Services = ClusterTypes['millrace']['broker']['v1'] &
  RecordsTypes['millrace']['broker']['v1'] &
  GroupTypes['millrace']['broker']['v1'] &
  PeerTypes['millrace']['peer']['v1'] &
  RecordsTypes['millrace']['common']['v1'];

/** Parsed once, on first use: parsing takes tens of milliseconds and its result never changes. */
let parsed: Services | undefined;

function load(files: readonly string[]): PackageDefinition {
  return loadSync([...files], { ...LOADER_OPTIONS, includeDirs: [PROTO_ROOT] });
}

/** Service constructors, definitions and message codecs of all of proto/. */
export function protoTypes(): Services {
  if (parsed === undefined) {
    const root = loadPackageDefinition(load([...CLIENT_FILES, ...PEER_FILES]));
    const { millrace } = root as unknown as ClusterTypes & RecordsTypes & GroupTypes & PeerTypes;
    parsed = { ...millrace.broker.v1, ...millrace.peer.v1, ...millrace.common.v1 };
  }
  return parsed;
}
