import type { Server } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { protoPath as healthProtoPath } from 'grpc-health-check';
import { reflectedPackage } from '../../rpc/reflection.js';

/** Has the server tell about the client API and the health service, both versions of reflection. */
export function addReflection(server: Server): void {
  new ReflectionService(reflectedPackage([healthProtoPath])).addToServer(server);
}
