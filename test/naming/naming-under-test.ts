import { createServer } from 'node:http';
import type { MemberId } from '../../services/lib/identity/member-id.ts';
import { listen } from '../../services/lib/listen.ts';
import type { Caller } from '../../services/lib/rpc/definition.ts';
import { createHttpApp } from '../../services/naming/http-app.ts';
import { NameTable } from '../../services/naming/name-table.ts';
import { createNaming, type Naming } from '../../services/naming/naming.ts';
import { NamingStore } from '../../services/naming/store.ts';

export const leaseMs = 3_000;
export const token = 'f'.repeat(64);

/** The id of the n-th member. */
export function member(n: number): MemberId {
  return n.toString(16).padStart(64, '0') as MemberId;
}

/** What the outside gives it: a clock, and dice that fall as they are told. */
export class World {
  clock = 0;
  random = 0;
}

export interface NamingUnderTest extends Disposable {
  readonly naming: Naming;
  readonly table: NameTable;
  readonly store: NamingStore;
  readonly warned: string[];
}

/** Naming over a store in `dir`, called in this process. Made anew over the same `dir` it has been restarted. */
export function namingIn(dir: string, world: World): NamingUnderTest {
  const warned: string[] = [];
  const store = new NamingStore(dir);
  const table = new NameTable({ store, clock: () => world.clock, warn: line => warned.push(line) }, { leaseMs });
  const naming = createNaming({ table, clock: () => world.clock, random: () => world.random }, { leaseMs });
  return { naming, table, store, warned, [Symbol.dispose]: () => store.close() };
}

/** A member that calls over the bus. */
export function calling(memberId: MemberId): Caller {
  return { address: `bus:m.${memberId}`, memberId, signal: AbortSignal.timeout(20_000) };
}

/** Serves it over REST. */
export async function restOf(naming: Naming, warn: (line: string) => void = () => {}) {
  const app = createHttpApp(naming, { version: '9.9.9', token, warn });
  const server = createServer(app);
  const url = `http://127.0.0.1:${await listen(server, { host: '127.0.0.1', port: 0 })}`;
  const close = (): void => {
    naming.close();
    server.close();
    server.closeAllConnections();
  };
  return { app, url, close };
}
