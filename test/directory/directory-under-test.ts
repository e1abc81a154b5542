import type { DirectoryServiceDefinition } from '../../proto/gen/warren/directory/v1/directory.ts';
import { Attempts } from '../../services/directory/attempts.ts';
import { createDirectory, type DirectoryOptions } from '../../services/directory/directory.ts';
import { createMembers } from '../../services/directory/members.ts';
import { methodNames } from '../../services/directory/methods.ts';
import { Presence } from '../../services/directory/presence.ts';
import { DirectoryStore } from '../../services/directory/store.ts';
import { type Authority, createAuthority } from '../../services/lib/identity/authority.ts';
import type { MemberId } from '../../services/lib/identity/member-id.ts';
import type { Client } from '../../services/lib/rpc/definition.ts';
import { seededRandom } from '../support/seeded.ts';

export const hour = 3_600_000;

const theAuthority = await createAuthority(Date.UTC(2026, 0, 1));

/** What the outside gives it: two clocks, and what is random, counted. */
export class World {
  now = Date.UTC(2026, 0, 1);
  clock = 0;
  readonly authority: Authority = theAuthority;
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
  options: Partial<DirectoryOptions & { leaseMs: number }> = {},
): {
  store: DirectoryStore;
  handlers: ReturnType<typeof createDirectory>;
  from: (address: string, memberId?: MemberId) => Methods;
  warnings: string[];
} {
  const warnings: string[] = [];
  const store = new DirectoryStore(dir);
  const now = (): number => world.now;
  const { leaseMs = 30_000, ...rest } = options;
  const presence = new Presence(() => world.clock, leaseMs);
  const members = createMembers(
    {
      store,
      presence,
      authority: world.authority,
      now,
      onInviteDone: () => {},
      warn: line => void warnings.push(line),
    },
    { certificateDays: 90 },
  );
  const handlers = createDirectory(
    {
      store,
      now,
      attempts: new Attempts(() => world.clock),
      presence,
      members,
      newToken: () => world.next('token'),
      newId: () => world.next('peer'),
      random: seededRandom(1),
    },
    { openRegistration: true, sessionMs: hour, ...rest },
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
  return { store, handlers, from, warnings };
}
