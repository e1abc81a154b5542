import type { MemberId } from '../lib/identity/member-id.ts';

/**
 * What is known of one name, and how it follows what servers say. The name's log has decided already who serves it; here the
 * highest epoch that anybody reported stands, whoever reports it in whatever order, once or twice.
 *
 * A name is *unserved* (no holder), *held* (its holder's lease runs) or *silent* (it has ended: the holder stays, since nobody
 * has said that another one took over). `register` and `compare-and-set` hold it; `expire` and `leave` silence it; `renew` and
 * `register` of the same holder hold it again. All times are milliseconds of naming's own monotonic clock.
 */
export interface NameState {
  readonly holder: Holder | undefined;
  readonly latents: ReadonlyMap<MemberId, LatentServer>;
}

export interface Holder extends Held {
  /** Undefined: ended, and seen to be. */
  readonly leaseEndsAt: number | undefined;
}

/** What a server says when it serves a name. */
export interface Held {
  readonly memberId: MemberId;
  /** `address:port`, best first. */
  readonly addresses: readonly string[];
  readonly epoch: number;
  readonly migrationId: string;
  /** Of the last entry of the name's log that it has seen. */
  readonly logOffset: number;
}

export interface LatentServer {
  readonly memberId: MemberId;
  readonly addresses: readonly string[];
  readonly logOffset: number;
  /** Takes no hand-over. */
  readonly isDraining: boolean;
  readonly leaseEndsAt: number;
}

export type NameEvent =
  | { readonly kind: 'register'; readonly held: Held }
  | { readonly kind: 'compare-and-set'; readonly held: Held; readonly expectedEpoch: number }
  | { readonly kind: 'latent'; readonly server: Omit<LatentServer, 'leaseEndsAt'> }
  | {
      readonly kind: 'renew';
      readonly memberId: MemberId;
      /** 0: as a latent. */
      readonly epoch: number;
      readonly logOffset: number;
      readonly isDraining: boolean;
    }
  | { readonly kind: 'leave'; readonly memberId: MemberId }
  | { readonly kind: 'expire' };

/**
 * `epoch`: the name is at another epoch than the event would need, or another member holds this one. `unknown`: nothing of that
 * server is known, it has to register. `holds`: it serves the name, and cannot be its latent too. `full`: no more latents.
 */
export type Refusal = 'epoch' | 'unknown' | 'holds' | 'full';

export interface Rules {
  readonly now: number;
  readonly leaseMs: number;
  readonly maxLatents: number;
}

export interface Outcome {
  /** The same object when nothing has changed. */
  readonly state: NameState;
  readonly refusal?: Refusal;
}

export const unserved: NameState = { holder: undefined, latents: new Map() };

export function applyEvent(state: NameState, event: NameEvent, rules: Rules): Outcome {
  switch (event.kind) {
    case 'register':
      return register(state, event.held, rules);
    case 'compare-and-set': {
      const { held, expectedEpoch } = event;
      if (state.holder !== undefined && isSameEpoch(state.holder, held)) return { state };
      if ((state.holder?.epoch ?? 0) !== expectedEpoch) return { state, refusal: 'epoch' };
      return register(state, held, rules);
    }
    case 'latent':
      return registerLatent(state, event.server, rules);
    case 'renew':
      return event.epoch === 0 ? renewLatent(state, event, rules) : renewHolder(state, event, rules);
    case 'leave':
      return { state: leave(state, event.memberId) };
    case 'expire':
      return { state: expire(state, rules.now) };
  }
}

function register(state: NameState, held: Held, { now, leaseMs }: Rules): Outcome {
  const { holder } = state;
  if (holder !== undefined && held.epoch <= holder.epoch && !isSameEpoch(holder, held))
    return { state, refusal: 'epoch' };
  const isAgain = holder !== undefined && isSameEpoch(holder, held);
  const logOffset = isAgain ? Math.max(holder.logOffset, held.logOffset) : held.logOffset;
  return {
    state: {
      holder: { ...held, logOffset, leaseEndsAt: now + leaseMs },
      latents: without(state.latents, held.memberId),
    },
  };
}

function isSameEpoch(holder: Held, held: Held): boolean {
  return holder.epoch === held.epoch && holder.memberId === held.memberId && holder.migrationId === held.migrationId;
}

function registerLatent(state: NameState, server: Omit<LatentServer, 'leaseEndsAt'>, rules: Rules): Outcome {
  const { now, leaseMs, maxLatents } = rules;
  // A call that came late must not end what its sender has won since; one that has stepped down is a latent once its lease ends.
  if (state.holder?.memberId === server.memberId && isHeld(state, now)) return { state, refusal: 'holds' };
  const { latents } = expire(state, now);
  if (latents.size >= maxLatents && !latents.has(server.memberId)) return { state, refusal: 'full' };
  return { state: { ...state, latents: withLatent(latents, { ...server, leaseEndsAt: now + leaseMs }) } };
}

function renewHolder(
  state: NameState,
  { memberId, epoch, logOffset }: { memberId: MemberId; epoch: number; logOffset: number },
  { now, leaseMs }: Rules,
): Outcome {
  const { holder } = state;
  // What naming has not heard of yet it is to be told in full.
  if (holder === undefined || holder.epoch < epoch) return { state, refusal: 'unknown' };
  if (holder.epoch > epoch || holder.memberId !== memberId) return { state, refusal: 'epoch' };
  const renewed = { ...holder, logOffset: Math.max(holder.logOffset, logOffset), leaseEndsAt: now + leaseMs };
  return { state: { holder: renewed, latents: without(state.latents, memberId) } };
}

function renewLatent(
  state: NameState,
  { memberId, logOffset, isDraining }: { memberId: MemberId; logOffset: number; isDraining: boolean },
  { now, leaseMs }: Rules,
): Outcome {
  const latent = state.latents.get(memberId);
  if (latent === undefined) return { state, refusal: 'unknown' };
  const renewed = { ...latent, logOffset, isDraining, leaseEndsAt: now + leaseMs };
  return { state: { ...state, latents: withLatent(state.latents, renewed) } };
}

function leave(state: NameState, memberId: MemberId): NameState {
  const { holder } = state;
  if (holder?.memberId !== memberId && !state.latents.has(memberId)) return state;
  return {
    holder: holder?.memberId === memberId ? { ...holder, leaseEndsAt: undefined } : holder,
    latents: without(state.latents, memberId),
  };
}

function expire(state: NameState, now: number): NameState {
  const { holder, latents } = state;
  const isSilent = holder?.leaseEndsAt !== undefined && now >= holder.leaseEndsAt;
  const gone = [...latents.values()].filter(({ leaseEndsAt }) => now >= leaseEndsAt);
  if (!isSilent && gone.length === 0) return state;
  return {
    holder: isSilent ? { ...holder, leaseEndsAt: undefined } : holder,
    latents: gone.reduce((left, { memberId }) => without(left, memberId), latents),
  };
}

function withLatent(latents: NameState['latents'], server: LatentServer): NameState['latents'] {
  return new Map(latents).set(server.memberId, server);
}

function without(latents: NameState['latents'], memberId: MemberId): NameState['latents'] {
  if (!latents.has(memberId)) return latents;
  const left = new Map(latents);
  left.delete(memberId);
  return left;
}

/** Whether its holder's lease runs. */
export function isHeld({ holder }: NameState, now: number): boolean {
  return holder?.leaseEndsAt !== undefined && now < holder.leaseEndsAt;
}

/** After a restart of naming nobody is to be taken for dead before it could renew: all leases begin anew. */
export function restored({ holder, latents }: NameState, { now, leaseMs }: Pick<Rules, 'now' | 'leaseMs'>): NameState {
  const leaseEndsAt = now + leaseMs;
  return {
    holder: holder && { ...holder, leaseEndsAt },
    latents: new Map([...latents].map(([id, latent]) => [id, { ...latent, leaseEndsAt }])),
  };
}

/**
 * One of the latents that are there, take a hand-over and are no more than `maxLag` entries behind the holder, each as likely.
 * @param random in [0, 1)
 */
export function pickLatent(
  { holder, latents }: NameState,
  { now, maxLag, except }: { now: number; maxLag: number; except: ReadonlySet<string> },
  random: number,
): LatentServer | undefined {
  const end = holder?.logOffset ?? 0;
  const fit = [...latents.values()].filter(
    ({ memberId, leaseEndsAt, isDraining, logOffset }) =>
      now < leaseEndsAt && !isDraining && end - logOffset <= maxLag && !except.has(memberId),
  );
  return fit[Math.floor(random * fit.length)];
}

export type ChangeKind = 'moved' | 'expired' | 'returned' | 'latents';

/** What others are told of; that leases go on and logs grow is no news. */
export function changesBetween(before: NameState, after: NameState): readonly ChangeKind[] {
  const [was, is] = [before.holder, after.holder];
  const kinds: ChangeKind[] = [];
  if (is !== undefined && is.epoch !== was?.epoch) kinds.push('moved');
  else if (was?.leaseEndsAt !== undefined && is?.leaseEndsAt === undefined) kinds.push('expired');
  else if (was !== undefined && was.leaseEndsAt === undefined && is?.leaseEndsAt !== undefined) kinds.push('returned');
  const isOther =
    before.latents.size !== after.latents.size ||
    [...after.latents].some(([id, { isDraining }]) => before.latents.get(id)?.isDraining !== isDraining);
  if (isOther) kinds.push('latents');
  return kinds;
}
