import { setTimeout as wait } from 'node:timers/promises';
import { until } from '../../support/until.ts';
import type { ChatOnHosts } from './chat-on-hosts.ts';

export const faultKinds = [
  'a planned migration',
  'kill -9 of the one that serves',
  'the one that serves is frozen',
  'the broker restarts',
  'naming restarts',
  'a member is cut off',
] as const;

export type FaultKind = (typeof faultKinds)[number];

export interface Fault {
  readonly kind: FaultKind;
  /** Milliseconds after the one before it has been mended, and for how long it lasts. */
  readonly afterMs: number;
  readonly lastsMs: number;
  /** Of the member that is cut off, 0 to 1; undefined: the one that serves. */
  readonly whom: number | undefined;
  /** The member that is cut off is killed as well, with what it could not send. */
  readonly isKilled: boolean;
}

/** Each kind as often as the others, in any order. */
export function planFaults(count: number, random: () => number): Fault[] {
  const kinds = Array.from({ length: count }, (_, at) => faultKinds[at % faultKinds.length] as FaultKind);
  for (let at = kinds.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    [kinds[at], kinds[other]] = [kinds[other] as FaultKind, kinds[at] as FaultKind];
  }
  return kinds.map(kind => ({
    kind,
    afterMs: Math.floor(random() * 800),
    // Shorter and longer than it takes to be noticed.
    lastsMs: Math.floor(random() ** 2 * 4_000),
    whom: random() < 0.5 ? undefined : random(),
    isKilled: random() < 0.5,
  }));
}

/** Does it, and mends it. @returns to whom, for people */
export async function commit(network: ChatOnHosts, { kind, lastsMs, whom, isKilled }: Fault): Promise<string> {
  switch (kind) {
    case 'a planned migration': {
      const before = network.handOvers;
      await until(
        () => network.handOvers,
        count => count !== before,
        60_000,
      );
      return '';
    }
    case 'kill -9 of the one that serves': {
      const active = await network.active();
      await active.kill();
      await wait(lastsMs);
      await active.start();
      return active.name;
    }
    case 'the one that serves is frozen': {
      const active = await network.active();
      active.freeze();
      await wait(lastsMs);
      active.thaw();
      return active.name;
    }
    case 'the broker restarts':
      await network.broker.kill();
      await wait(lastsMs / 2);
      await network.broker.start();
      return '';
    case 'naming restarts':
      await network.killNaming();
      await wait(lastsMs);
      await network.startNaming();
      return '';
    case 'a member is cut off': {
      const { members } = network;
      const member = whom === undefined ? await network.active() : members[Math.floor(whom * members.length)];
      if (member === undefined) throw new Error('unreachable');
      await member.unplug();
      await wait(lastsMs);
      if (isKilled) await member.kill();
      await member.plug();
      if (isKilled) await member.start();
      return `${member.name}${isKilled ? ', killed meanwhile' : ''}`;
    }
  }
}
