import { type HostPort, parseHostPort } from './host-port.ts';
import type { NameTable } from './name-table.ts';
import { isHeld, type NameState } from './record.ts';
import type { ServedName, Zones } from './zone.ts';

/** The table as the DNS sees it. */
export function createZones(
  { table, clock, now }: { table: NameTable; clock: () => number; now: () => number },
  { origins, nameServer }: { origins: readonly string[]; nameServer: readonly HostPort[] },
): () => Zones {
  // Serials grow over restarts too, as long as fewer changes come than seconds pass.
  const first = Math.floor(now() / 1_000) - table.changes;
  // Parsed once per state: a state never changes.
  const parsed = new WeakMap<NameState, readonly HostPort[]>();
  const hostsOf = (state: NameState): readonly HostPort[] => {
    const known = parsed.get(state);
    if (known !== undefined) return known;
    const hosts = (state.holder?.addresses ?? []).map(parseHostPort).filter(host => host !== undefined);
    parsed.set(state, hosts);
    return hosts;
  };
  const find = (name: string): ServedName | undefined => {
    const state = table.get(name);
    if (state === undefined) return undefined;
    const { epoch = 0, migrationId = '', memberId = '' } = state.holder ?? {};
    return { epoch, migrationId, memberId, isHeld: isHeld(state, clock()), hosts: hostsOf(state) };
  };
  const hasBelow = (name: string): boolean => table.hasBelow(name);
  return () => ({ origins, nameServer, serial: (first + table.changes) >>> 0, find, hasBelow });
}
