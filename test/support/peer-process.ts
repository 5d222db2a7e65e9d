/** A broker's transport in a process of its own: `peer-process.ts <id> <peerId> <peerPort>`. */
import { brokerId } from '../../src/model/ids.js';
import { listeningPeer, startPeer } from './peers.js';

const [id, peerId, peerPort] = process.argv.slice(2).map(Number);
const peer = await listeningPeer(id ?? 0);
peer.transport.setPeers([{ id: brokerId(peerId ?? 0), host: '127.0.0.1', port: peerPort ?? 0 }]);
startPeer(peer);
process.stdout.write(`${peer.address.port}\n`);
