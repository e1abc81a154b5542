import type { DirectoryServiceDefinition } from '../../proto/gen/warren/directory/v1/directory.ts';
import { createDirectory, type DirectoryOptions } from '../../services/directory/directory.ts';
import { methodNames } from '../../services/directory/methods.ts';
import { DirectoryStore } from '../../services/directory/store.ts';
import type { MemberId } from '../../services/lib/identity/member-id.ts';
import type { Client } from '../../services/lib/rpc/definition.ts';
import { seededRandom } from '../support/seeded.ts';

export const hour = 3_600_000;

/** What the outside gives it: two clocks, and what is random, counted. */
export class World {
  now = Date.UTC(2026, 0, 1);
  clock = 0;
  #count = 0;

  pass(ms: number): void {
    this.now += ms;
    this.clock += ms;
  }

  next(prefix: string): string {
    return `${prefix}-${String(this.#count++).padStart(4, '0')}`;
  }
}

export type Methods = Client<typeof DirectoryServiceDefinition>;

/** The handlers over a store in `dir`, called in this process. Made anew over the same `dir` it has been restarted. */
export function directoryIn(
  dir: string,
  world: World,
  options: Partial<DirectoryOptions> = {},
): {
  store: DirectoryStore;
  handlers: ReturnType<typeof createDirectory>;
  from: (address: string, memberId?: MemberId) => Methods;
} {
  const store = new DirectoryStore(dir);
  const handlers = createDirectory(
    {
      store,
      now: () => world.now,
      clock: () => world.clock,
      newToken: () => world.next('token'),
      newId: () => world.next('peer'),
      random: seededRandom(1),
    },
    { openRegistration: true, sessionMs: hour, leaseMs: 30_000, ...options },
  );
  const from = (address: string, memberId?: MemberId): Methods =>
    Object.fromEntries(
      methodNames.map(name => [
        name,
        (request: never) =>
          handlers[name](request, {
            address,
            ...(memberId === undefined ? {} : { memberId }),
            signal: AbortSignal.timeout(20_000),
          }),
      ]),
    ) as unknown as Methods;
  return { store, handlers, from };
}
