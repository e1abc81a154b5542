import type { ChordNode } from './node.ts';
import type { Peer } from './peer.ts';
import type { RingOptions, RingPorts } from './ports.ts';

/** Nodes to look oneself up through: those that somebody outside of the ring knows, as the directory. */
export type Rendezvous = () => Promise<readonly Peer[]>;

/**
 * The timers that keep a member right. Each procedure waits ½ … 1½ of its period after it has ended, so that nodes do not march in step.
 * @returns ends them
 */
export function maintain(
  node: ChordNode,
  { clock, random }: Pick<RingPorts, 'clock' | 'random'>,
  { stabilizeMs, meetMs }: Pick<RingOptions, 'stabilizeMs' | 'meetMs'>,
  rendezvous?: Rendezvous,
): () => void {
  const stops = [
    every(stabilizeMs, () => node.stabilize(), clock, random),
    every(stabilizeMs, () => node.fixFingers(), clock, random),
    every(stabilizeMs, () => node.checkPredecessor(), clock, random),
  ];
  if (rendezvous) stops.push(every(meetMs, () => meetOne(node, rendezvous, random), clock, random));
  return () => {
    for (const stop of stops) stop();
  };
}

async function meetOne(node: ChordNode, rendezvous: Rendezvous, random: () => number): Promise<void> {
  const known = await rendezvous().catch(() => []);
  const others = known.filter(({ id }) => id !== node.self.id);
  const one = others[Math.floor(random() * others.length)];
  if (one) await node.meet(one);
}

/** Again and again, ½ … 1½ of the period after the end of the last. @returns ends it */
export function every(
  periodMs: number,
  act: () => Promise<void>,
  clock: RingPorts['clock'],
  random: () => number,
): () => void {
  let isStopped = false;
  let cancel = (): void => {};
  const next = (): void => {
    if (isStopped) return;
    cancel = clock.after(periodMs * (0.5 + random()), () => void act().then(next, next));
  };
  next();
  return () => {
    isStopped = true;
    cancel();
  };
}
