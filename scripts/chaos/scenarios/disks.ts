import type { FaultShim } from '../../lib/fault-shim/fault-shim.js';
import type { Scenario, Stage } from '../scenario.js';
import { logOf } from './replicas.js';
import { Shims } from './shims.js';
import { SmallVolumes } from './small-volumes.js';
import { anybody, busiest, bystander, type Target, upTo } from './targets.js';

const FULL_SECONDS = 10;
const SLOW_SECONDS = 15;
const SLOW_SYNC_MS = 500;
const JUMP_MS = 60_000;
const JUMPED_SECONDS = 5;
const SETTLE_MS = 2_000;
const POWERLESS_MS = 500;
const CUT_ALL_CHANCE = 0.3;
const CUT_HARD_CHANCE = 0.5;
/** What a fault may cost that takes leadership, if anything, by an election. */
const ELECTION_LIMIT_MS = 3_000;
const NO_ROOM = /no space left|ENOSPC|little room on the volume/i;

/** No room at all on one broker's volume, for a while; it must be back in all replicas then. */
async function fillDisk(stage: Stage, volumes: SmallVolumes, target: Target): Promise<void> {
  const { node, keys } = target;
  const log = logOf(stage, node);
  volumes.fill(node);
  stage.fault({ kind: 'disk-full', nodes: [node], keys });
  stage.say(`no room for broker ${node}, which led ${keys.length}`);
  try {
    for (let i = 0; i < FULL_SECONDS; i += 1) {
      await stage.rest(1_000);
      // What was deleted meanwhile made room.
      volumes.fill(node);
    }
    stage.count('full disks');
    if (!stage.broker(node).isRunning) {
      stage.problem(`broker ${node} ended for lack of room on its volume`);
    }
  } finally {
    volumes.free(node);
    stage.repair('room', [node]);
    if (!stage.broker(node).isRunning) await stage.start([node]);
  }
  if (!NO_ROOM.test(log.text())) stage.doubt(`broker ${node} never met its full disk`);
}

async function slowDisk(stage: Stage, shim: FaultShim, target: Target): Promise<void> {
  const { node, keys } = target;
  const before = shim.counts().syncsDelayed;
  shim.delaySyncs(SLOW_SYNC_MS);
  const limitMs = ELECTION_LIMIT_MS;
  const isOver = stage.fault({ kind: 'slow-sync', nodes: [node], keys, limitMs });
  stage.say(`every sync of broker ${node}, which led ${keys.length}, takes ${SLOW_SYNC_MS} ms`);
  try {
    await stage.rest(upTo(stage, SLOW_SECONDS, 0.3));
    const left = ((await stage.leaders()).get(node) ?? []).length;
    stage.count('partitions led on a slow disk at first', keys.length);
    stage.count('partitions still led at the end of it', left);
  } finally {
    shim.delaySyncs(0);
    isOver();
    stage.repair('fast-sync', [node]);
  }
  const delayed = shim.counts().syncsDelayed - before;
  stage.count('syncs delayed', delayed);
  if (delayed === 0) stage.doubt(`no sync of broker ${node} was slow`);
}

/** A disk that takes syncs and does not answer. */
async function hangingDisk(stage: Stage, shim: FaultShim, target: Target): Promise<void> {
  const { node, keys } = target;
  shim.hangSyncs(true);
  const isOver = stage.fault({ kind: 'hanging-sync', nodes: [node], keys });
  stage.say(`syncs of broker ${node}, which led ${keys.length}, do not return`);
  try {
    await stage.rest(upTo(stage, SLOW_SECONDS, 0.3));
    const left = ((await stage.leaders()).get(node) ?? []).length;
    stage.count('partitions led on a hanging disk at first', keys.length);
    stage.count('partitions still led at the end of it', left);
    // The last strike is cut short by the end of the run.
    if (left > 0 && !stage.isOver()) {
      stage.problem(`broker ${node} still led ${left} partitions on a disk that hangs`);
    }
    if (shim.counts().syncsHanging === 0) stage.doubt(`no sync of broker ${node} hung`);
  } finally {
    shim.hangSyncs(false);
    isOver();
    stage.repair('syncs-return', [node]);
  }
}

/** Kills brokers and takes from their disks what was not synced. */
async function cutPower(stage: Stage, shims: Shims, target: Target): Promise<void> {
  const { prng } = stage;
  const all = stage.cluster.ids;
  const isAll = prng.chance(CUT_ALL_CHANCE);
  const nodes = isAll ? all : [target.node];
  const everything = Array.from({ length: stage.partitions }, (_, i) => `${stage.topic}/${i}`);
  const keys = isAll ? everything : target.keys;
  const logs = nodes.map((id) => logOf(stage, id));
  await stage.kill({ kind: isAll ? 'power-cut-all' : 'power-cut', nodes, keys });
  for (const id of nodes) {
    const cut = shims.of(id).powerCut(prng.chance(CUT_HARD_CHANCE) ? {} : { prng });
    const { bytesCut, bytesRestored, namesUndone } = cut;
    stage.say(
      `power cut of broker ${id}: ${bytesCut} bytes cut off, ${bytesRestored} as before, ` +
        `${namesUndone} changes of names undone`,
    );
    stage.count('power cuts');
    stage.count('bytes lost', bytesCut + bytesRestored);
    stage.count('names lost', namesUndone);
  }
  await stage.rest(POWERLESS_MS);
  await stage.start(nodes);
  await stage.whole();
  for (const log of logs) {
    for (const { raftGroup, reason } of log.damaged()) {
      stage.problem(`group ${raftGroup} counts as damaged by a power cut: ${reason}`);
    }
  }
}

async function jumpClock(stage: Stage, shim: FaultShim, target: Target): Promise<void> {
  const { node, keys } = target;
  const before = shim.counts().clockShifted;
  const ms = stage.prng.chance(0.5) ? JUMP_MS : -JUMP_MS;
  shim.shiftClock(ms);
  const limitMs = ELECTION_LIMIT_MS;
  const isOver = stage.fault({ kind: 'clock-jump', nodes: [node], keys, limitMs });
  stage.say(`the clock of broker ${node}, which led ${keys.length}, is ${ms / 1_000} s off`);
  try {
    await stage.rest(JUMPED_SECONDS * 1_000);
  } finally {
    shim.shiftClock(0);
    isOver();
    stage.repair('clock-back', [node], limitMs);
  }
  stage.count(ms > 0 ? 'jumps ahead' : 'jumps back');
  if (shim.counts().clockShifted === before)
    stage.doubt(`broker ${node} never looked at its clock`);
}

function shimmed(scenario: Omit<Scenario, 'strike'>, strike: Shimmed): Scenario {
  const shims = new Shims();
  return {
    ...scenario,
    needs: { ...scenario.needs, env: shims.env },
    strike: async (stage) => {
      if (!(await shims.areThere(stage))) return;
      await strike(stage, shims);
      await stage.rest(SETTLE_MS);
    },
  };
}

type Shimmed = (stage: Stage, shims: Shims) => Promise<void>;

function filled(id: string, title: string, pick: (stage: Stage) => Promise<Target>): Scenario {
  const volumes = new SmallVolumes();
  return {
    ...{ id, title },
    prepare: (stage) => volumes.mount(stage),
    strike: async (stage) => {
      if (!(await volumes.areThere(stage))) return;
      const target = await pick(stage);
      if (!stage.isOver()) await fillDisk(stage, volumes, target);
    },
    // Brokers are stopped for the volumes to be mounted, which counts as a fault, too.
    verify: (stage) => {
      if ((stage.figures['full disks'] ?? 0) === 0) stage.doubt('no disk was full');
      return Promise.resolve();
    },
  };
}

/** Disks that are full, slow, hang or lose what was not synced; and clocks that jump. */
export const DISKS: readonly Scenario[] = [
  filled('D22', 'disk full on a broker that only follows, then there is room again', bystander),
  filled('D23', 'disk full on the broker that leads most, then there is room again', busiest),
  shimmed(
    { id: 'D24', title: 'every sync takes 500 ms on the disk of the broker that leads most' },
    async (stage, shims) => {
      const target = await busiest(stage);
      await slowDisk(stage, shims.of(target.node), target);
    },
  ),
  shimmed(
    { id: 'disk-hangs', title: 'syncs do not return on the disk of the broker that leads most' },
    async (stage, shims) => {
      const target = await busiest(stage);
      await hangingDisk(stage, shims.of(target.node), target);
    },
  ),
  shimmed(
    {
      id: 'D25',
      title: 'power cut of one broker, now and then of all: what was not synced is gone',
      verify: (stage) => {
        const { 'bytes lost': bytes = 0, 'names lost': names = 0 } = stage.figures;
        if (bytes + names === 0) stage.doubt('no power cut took anything away');
        return Promise.resolve();
      },
    },
    async (stage, shims) => {
      await stage.rest(SETTLE_MS);
      await cutPower(stage, shims, await anybody(stage));
    },
  ),
  shimmed(
    { id: 'D30', title: 'the wall clock of one broker jumps by a minute, ahead or back' },
    async (stage, shims) => {
      const target = await anybody(stage);
      await jumpClock(stage, shims.of(target.node), target);
    },
  ),
];
