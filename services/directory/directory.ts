import { createHash } from 'node:crypto';
import type { DirectoryServiceDefinition } from '../../proto/gen/warren/directory/v1/directory.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { Caller, Handlers } from '../lib/rpc/definition.ts';
import { ActivePeers } from './active-peers.ts';
import { AttemptLimiter } from './attempt-limiter.ts';
import { createFileHandlers } from './files.ts';
import { memberIn } from './member-proof.ts';
import { type MethodName, methods } from './methods.ts';
import { mistakeIn } from './mistake.ts';
import { hashPassword, verifyPassword } from './password.ts';
import type { DirectoryStore, Session } from './store.ts';

type Service = typeof DirectoryServiceDefinition;

export interface DirectoryNeeds {
  readonly store: DirectoryStore;
  /** Milliseconds since 1970; sessions outlive a restart. */
  readonly now: () => number;
  /** Milliseconds, monotonic; leases and limits do not. */
  readonly clock: () => number;
  /** An unguessable token of 256 bits. */
  readonly newToken: () => string;
  readonly newId: () => string;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface DirectoryOptions {
  /** Whether anybody may make an account. */
  readonly openRegistration: boolean;
  readonly sessionMs: number;
  readonly leaseMs: number;
}

/** Ten slips at once, then one every ten seconds: 8,640 guesses a day at most, from wherever they come. */
const perAccount = { burst: 10, refillMs: 10_000, maxKeys: 10_000 };
/** A class behind one address logs in at once; guesses at many accounts get two a second. */
const perAddress = { burst: 60, refillMs: 500, maxKeys: 10_000 };
/** An answer stays far below what a broker takes. */
const pageSize = 500;

/**
 * Accounts, sessions, active peers and their files; the handlers behind both REST and the bus. A peer is a member, or a session of
 * none, with a live lease: leases are in memory only, so after a restart each comes back with its next ping.
 */
export function createDirectory(
  { store, now, clock, newToken, newId, random }: DirectoryNeeds,
  { openRegistration, sessionMs, leaseMs }: DirectoryOptions,
): Handlers<Service> {
  const peers = new ActivePeers({ sessions: () => store.sessions(now()), clock }, { leaseMs });
  const byAccount = new AttemptLimiter(perAccount);
  const byAddress = new AttemptLimiter(perAddress);

  const limit = (waitMs: number): void => {
    if (waitMs === 0) return;
    const seconds = Math.ceil(waitMs / 1000);
    throw new CallFailure('RESOURCE_EXHAUSTED', 'DIRECTORY_ATTEMPTS', `too many attempts: try again in ${seconds} s`, {
      retryAfterMs: waitMs,
    });
  };

  const sessionOf = (token: string): { session: Session; tokenHash: Buffer } => {
    const tokenHash = hashOf(token);
    const session = store.findSession(tokenHash, now());
    if (session === undefined)
      throw new CallFailure('UNAUTHENTICATED', 'DIRECTORY_TOKEN', 'no session has this token (any more): log in');
    return { session, tokenHash };
  };

  const handlers: Handlers<Service> = {
    async createUser({ username, password }, { address, signal }) {
      if (!openRegistration)
        throw new CallFailure(
          'PERMISSION_DENIED',
          'DIRECTORY_REGISTRATION_CLOSED',
          'accounts are made by who runs the directory (warren users add)',
        );
      limit(byAddress.waitMs(address, clock()));
      byAddress.take(address, clock());
      const exists = new CallFailure(
        'ALREADY_EXISTS',
        'DIRECTORY_USER_EXISTS',
        `there is an account ${username} already`,
      );
      if (store.findAccount(username)) throw exists;
      const hash = await hashPassword(password, signal);
      if (!store.addAccount(username, hash, now())) throw exists;
      return { username };
    },

    async login(request, { address, memberId, signal }) {
      const { username, password, addresses } = request;
      const key = username.slice(0, 64);
      limit(Math.max(byAccount.waitMs(key, clock()), byAddress.waitMs(address, clock())));
      byAccount.take(key, clock());
      byAddress.take(address, clock());
      const account = store.findAccount(username);
      const isRight = await verifyPassword(password, account?.passwordHash, signal);
      const token = newToken();
      const peerId = memberIn(request, memberId) ?? newId();
      const session = { peerId, username, addresses, expiresAt: now() + sessionMs };
      const begun =
        isRight &&
        account !== undefined &&
        store.addSession({
          ...session,
          tokenHash: hashOf(token),
          passwordHash: account.passwordHash,
          now: now(),
        });
      // Unknown, disabled, wrong: one answer.
      if (!begun) throw new CallFailure('UNAUTHENTICATED', 'DIRECTORY_LOGIN', 'wrong user name or password');
      byAccount.giveBack(key, clock());
      byAddress.giveBack(address, clock());
      peers.renew(hashOf(token).toString('hex'));
      return { token, peerId, expiresInS: Math.floor(sessionMs / 1000), leaseMs };
    },

    async logout({ token }) {
      const { session, tokenHash } = sessionOf(token);
      store.endSession(tokenHash);
      peers.end(session.id);
      return {};
    },

    async ping({ token, addresses }) {
      const { session, tokenHash } = sessionOf(token);
      if (addresses.length > 0 && addresses.join(' ') !== session.addresses.join(' '))
        store.setAddresses(tokenHash, addresses);
      peers.renew(session.id);
      const index = store.index.stateOf(session.peerId);
      return { leaseMs, ...(index === undefined ? {} : { index }) };
    },

    async listPeers({ token, after }) {
      sessionOf(token);
      const active = peers.all().filter(({ peerId }) => peerId > after);
      return {
        peers: active.slice(0, pageSize),
        next: active.length > pageSize ? (active[pageSize - 1]?.peerId ?? '') : '',
      };
    },

    ...createFileHandlers({ store, peers, random, peerOf: token => sessionOf(token).session.peerId }),
  };

  return {
    createUser: checked('createUser', handlers.createUser),
    login: checked('login', handlers.login),
    logout: checked('logout', handlers.logout),
    ping: checked('ping', handlers.ping),
    listPeers: checked('listPeers', handlers.listPeers),
    index: checked('index', handlers.index),
    download: checked('download', handlers.download),
    upload: checked('upload', handlers.upload),
    search: checked('search', handlers.search),
    getFile: checked('getFile', handlers.getFile),
  };
}

/** Nothing unchecked reaches a handler, whichever way it came; and whoever waited too long is told so. */
function checked<Request, Response>(
  name: MethodName,
  handler: (request: Request, caller: Caller) => Promise<Response>,
): (request: Request, caller: Caller) => Promise<Response> {
  return async (request, caller) => {
    const { token, ...fields } = request as { token?: unknown };
    const { needsToken, request: schema } = methods[name];
    if (needsToken && (typeof token !== 'string' || token === ''))
      throw new CallFailure('UNAUTHENTICATED', 'DIRECTORY_TOKEN', 'log in first, and give the token');
    const { data, error } = schema.safeParse(needsToken ? fields : request);
    if (error) throw new CallFailure('INVALID_ARGUMENT', 'DIRECTORY_REQUEST', mistakeIn(error));
    try {
      return await handler({ ...data, token } as Request, caller);
    } catch (cause) {
      if (cause instanceof CallFailure || !caller.signal.aborted) throw cause;
      throw new CallFailure('DEADLINE_EXCEEDED', 'CALL_DEADLINE', 'not done within the time given', { cause });
    }
  };
}

/** Of 256 random bits: nothing to guess, so no salt and no slow hash. */
export function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
