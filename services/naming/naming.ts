import type { NameRecord, NamingServiceDefinition } from '../../proto/gen/warren/naming/v1/naming.ts';
import { AttemptLimiter } from '../lib/attempt-limiter.ts';
import type { MemberId } from '../lib/identity/member-id.ts';
import { mistakeIn } from '../lib/rest/mistake.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { Caller, Handlers } from '../lib/rpc/definition.ts';
import { type MethodName, methods } from './methods.ts';
import { type NameTable, recordOf } from './name-table.ts';
import { type NameEvent, type NameState, type Outcome, pickLatent, type Refusal, unserved } from './record.ts';
import { Watchers } from './watchers.ts';

type Service = typeof NamingServiceDefinition;
export type NamingHandlers = Handlers<Service>;

export interface NamingNeeds {
  readonly table: NameTable;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  /** In [0, 1). */
  readonly random: () => number;
}

export interface NamingOptions {
  readonly leaseMs: number;
}

export interface Naming {
  /** For everybody: reading, and writing for the member that the caller is. */
  readonly members: NamingHandlers;
  /** For who runs naming: writing for any member, and forgetting. */
  readonly operator: NamingHandlers;
  /** Ends all watching. */
  close(): void;
}

/** A member renews its 32 names once a second; a script asks at once for what it shows. */
const perCaller = { burst: 200, refillMs: 10, maxKeys: 10_000 };
const pageSize = 100;

/** Names, their holders and latents: the handlers behind REST and the bus. */
export function createNaming({ table, clock, random }: NamingNeeds, { leaseMs }: NamingOptions): Naming {
  const limiter = new AttemptLimiter(perCaller);

  const known = (name: string): NameState => {
    const state = table.get(name);
    if (state === undefined) throw new CallFailure('NOT_FOUND', 'NAMING_NAME', `nobody has registered ${name}`);
    return state;
  };
  const viewOf = (name: string): NameRecord => recordOf(name, table.get(name) ?? unserved, clock());
  const watchers = new Watchers(table, name => {
    const names = name === '' ? table.names() : [name].filter(each => table.get(each) !== undefined);
    return names.map(each => ({
      kind: 'current',
      record: recordOf(each, table.get(each) ?? unserved, clock(), name !== ''),
    }));
  });

  /** @throws CallFailure for what the record does not allow */
  const apply = async (name: string, event: NameEvent): Promise<{ record: NameRecord; leaseMs: number }> => {
    const { refusal, state } = await table.apply(name, event);
    if (refusal !== undefined) throw refused(refusal, name, state);
    return { record: recordOf(name, state, clock()), leaseMs };
  };

  const handlersFor = (whoMayBe: (asked: string, caller: Caller) => MemberId, mayForget: boolean): NamingHandlers => {
    const handlers: NamingHandlers = {
      async register({ name, memberId, ...rest }, caller) {
        return apply(name, { kind: 'register', held: { memberId: whoMayBe(memberId, caller), ...rest } });
      },
      async compareAndSet({ name, memberId, expectedEpoch, ...rest }, caller) {
        const held = { memberId: whoMayBe(memberId, caller), ...rest };
        if (held.epoch <= expectedEpoch)
          throw new CallFailure('INVALID_ARGUMENT', 'NAMING_REQUEST', 'epoch: must be above expectedEpoch');
        return apply(name, { kind: 'compare-and-set', held, expectedEpoch });
      },
      async registerLatent({ name, memberId, ...rest }, caller) {
        return apply(name, { kind: 'latent', server: { memberId: whoMayBe(memberId, caller), ...rest } });
      },
      async renew({ name, memberId, ...rest }, caller) {
        return apply(name, { kind: 'renew', memberId: whoMayBe(memberId, caller), ...rest });
      },
      async leave({ name, memberId }, caller) {
        await apply(name, { kind: 'leave', memberId: whoMayBe(memberId, caller) });
        return {};
      },
      async forget({ name }) {
        if (!mayForget)
          throw new CallFailure('PERMISSION_DENIED', 'NAMING_FORGET', 'only who runs naming may have it forget a name');
        known(name);
        table.forget(name);
        return {};
      },
      async resolve({ name }) {
        known(name);
        return { record: viewOf(name) };
      },
      async list({ after }) {
        const names = table.names();
        const from = firstAfter(names, after);
        const page = names.slice(from, from + pageSize);
        return {
          records: page.map(name => recordOf(name, known(name), clock(), false)),
          next: names.length > from + pageSize ? (page.at(-1) ?? '') : '',
        };
      },
      async pickLatent({ name, maxLag, except }) {
        const state = known(name);
        const exceptions = new Set(except);
        const latent = pickLatent(state, { now: clock(), maxLag, except: exceptions }, random());
        const found = latent && viewOf(name).latents.find(({ memberId }) => memberId === latent.memberId);
        if (found === undefined)
          throw new CallFailure('NOT_FOUND', 'NAMING_NO_LATENT', `no latent of ${name} is ready to take it`);
        return { latent: found, epoch: state.holder?.epoch ?? 0 };
      },
      watch({ name }, caller) {
        return watchers.watch(name, caller);
      },
    };
    const checked = Object.entries(handlers).map(([name, handler]) => {
      const { request: schema } = methods[name as MethodName];
      const act = (request: unknown, caller: Caller): unknown => handler(parsed(schema, request), admitted(caller));
      // What is wrong with a call is a rejection; with a watch, thrown before it begins.
      return [name, name === 'watch' ? act : async (request: unknown, caller: Caller) => act(request, caller)];
    });
    return Object.fromEntries(checked) as NamingHandlers;
  };

  const admitted = (caller: Caller): Caller => {
    const waitMs = limiter.waitMs(caller.address, clock());
    if (waitMs > 0)
      throw new CallFailure('RESOURCE_EXHAUSTED', 'NAMING_RATE', 'too many calls: try again in a second', {
        retryAfterMs: waitMs,
      });
    limiter.take(caller.address, clock());
    return caller;
  };

  return {
    members: handlersFor((asked, { memberId }) => {
      if (memberId === undefined)
        throw new CallFailure('PERMISSION_DENIED', 'NAMING_CALLER', 'only members may write, each for itself');
      if (asked !== '' && asked !== memberId)
        throw new CallFailure('PERMISSION_DENIED', 'NAMING_CALLER', 'a member may write for itself only');
      return memberId;
    }, false),
    operator: handlersFor(asked => {
      if (asked === '') throw new CallFailure('INVALID_ARGUMENT', 'NAMING_REQUEST', 'memberId: must say which member');
      return asked as MemberId;
    }, true),
    close: () => watchers.close(),
  };
}

/** Nothing unchecked reaches a handler, whichever way it came. */
function parsed(schema: (typeof methods)[MethodName]['request'], request: unknown): never {
  const { data, error } = schema.safeParse(request);
  if (error) throw new CallFailure('INVALID_ARGUMENT', 'NAMING_REQUEST', mistakeIn(error));
  return data as never;
}

function refused(refusal: Refusal, name: string, { holder }: Outcome['state']): CallFailure {
  const of = holder === undefined ? 'at no epoch' : `at epoch ${holder.epoch}, of member ${holder.memberId}`;
  switch (refusal) {
    case 'epoch':
      return new CallFailure('ABORTED', 'NAMING_EPOCH', `${name} is ${of}`);
    case 'holds':
      return new CallFailure('ABORTED', 'NAMING_HOLDER', `this member serves ${name}: it has to leave first`);
    case 'unknown':
      return new CallFailure(
        'NOT_FOUND',
        'NAMING_UNREGISTERED',
        `this server is not registered for ${name}: register it`,
      );
    case 'full':
      return new CallFailure('RESOURCE_EXHAUSTED', 'NAMING_FULL', `${name} has as many latents as it may`);
  }
}

/** Where the first name behind `after` stands. */
function firstAfter(names: readonly string[], after: string): number {
  let [low, high] = [0, names.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((names[middle] ?? '') <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}
