import { createHash } from 'node:crypto';
import type { DirectoryServiceDefinition } from '../../proto/gen/warren/directory/v1/directory.ts';
import { mistakeIn } from '../lib/rest/mistake.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { Caller, Handlers } from '../lib/rpc/definition.ts';
import { ActivePeers } from './active-peers.ts';
import type { Attempts } from './attempts.ts';
import { createFileHandlers } from './files.ts';
import { memberIn } from './member-proof.ts';
import type { Members } from './members.ts';
import { type MethodName, methods } from './methods.ts';
import { hashPassword, verifyPassword } from './password.ts';
import type { Presence } from './presence.ts';
import type { DirectoryStore } from './store.ts';

type Service = typeof DirectoryServiceDefinition;

export interface DirectoryNeeds {
  readonly store: DirectoryStore;
  /** Milliseconds since 1970; sessions outlive a restart. */
  readonly now: () => number;
  readonly attempts: Attempts;
  readonly presence: Presence;
  readonly members: Members;
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
}

/** Who asks: a session, or a member. */
interface Asker {
  readonly peerId: string;
  readonly username: string;
  readonly addresses: readonly string[];
  setAddresses(addresses: readonly string[]): void;
  /** It is there. */
  renew(): void;
  /** It logs out. */
  end(): void;
}

/** An answer stays far below what a broker takes. */
const pageSize = 500;

/**
 * Accounts, sessions, active peers and their files; the handlers behind both REST and the bus. A peer is a member, or a session of
 * none, with a live lease: leases are in memory only, so after a restart each comes back with its next ping.
 */
export function createDirectory(
  { store, now, attempts, presence, members, newToken, newId, random }: DirectoryNeeds,
  { openRegistration, sessionMs }: DirectoryOptions,
): Handlers<Service> {
  const { leaseMs } = presence;
  const peers = new ActivePeers({ sessions: () => [...members.sessions(), ...store.sessions(now())], presence });

  /** A member needs no token: the broker says who it is. @throws CallFailure DIRECTORY_TOKEN, DIRECTORY_MEMBER */
  const askerOf = (token: string, { memberId }: Caller): Asker => {
    if (token === '' && memberId !== undefined) {
      const member = members.asking(memberId);
      return {
        ...member,
        peerId: member.id,
        setAddresses: given => store.members.setAddresses(member.id, given),
        renew: () => members.renew(member),
        end: () => members.end(member),
      };
    }
    const tokenHash = hashOf(token);
    const session = store.findSession(tokenHash, now());
    if (session === undefined || members.isRevoked(session.peerId))
      throw new CallFailure('UNAUTHENTICATED', 'DIRECTORY_TOKEN', 'no session has this token (any more): log in');
    return {
      ...session,
      setAddresses: given => store.setAddresses(tokenHash, given),
      renew: () => presence.renew(session.id),
      end: () => {
        store.endSession(tokenHash);
        presence.end(session.id);
      },
    };
  };

  const handlers: Handlers<Service> = {
    async createUser({ username, password }, { address, signal }) {
      if (!openRegistration)
        throw new CallFailure(
          'PERMISSION_DENIED',
          'DIRECTORY_REGISTRATION_CLOSED',
          'accounts are made by who runs the directory (warren users add)',
        );
      attempts.spend(address);
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
      const token = newToken();
      const peerId = memberIn(request, memberId, id => store.members.findActive(id)?.username) ?? newId();
      const begun = await attempts.check(username, address, async () => {
        const account = store.findAccount(username);
        const isRight = await verifyPassword(password, account?.passwordHash, signal);
        if (!isRight || account === undefined || members.isRevoked(peerId)) return false;
        const session = { peerId, username, addresses, expiresAt: now() + sessionMs };
        const { passwordHash } = account;
        return store.addSession({ ...session, tokenHash: hashOf(token), passwordHash, now: now() });
      });
      // Unknown, disabled, wrong: one answer.
      if (!begun) throw new CallFailure('UNAUTHENTICATED', 'DIRECTORY_LOGIN', 'wrong user name or password');
      presence.renew(hashOf(token).toString('hex'));
      return { token, peerId, expiresInS: Math.floor(sessionMs / 1000), leaseMs };
    },

    async logout({ token }, caller) {
      askerOf(token, caller).end();
      return {};
    },

    async ping({ token, addresses }, caller) {
      const asker = askerOf(token, caller);
      if (addresses.length > 0 && addresses.join(' ') !== asker.addresses.join(' ')) asker.setAddresses(addresses);
      asker.renew();
      const index = store.index.stateOf(asker.peerId);
      return { leaseMs, ...(index === undefined ? {} : { index }) };
    },

    async listPeers({ token, after }, caller) {
      askerOf(token, caller);
      const active = peers.all().filter(({ peerId }) => peerId > after);
      return {
        peers: active.slice(0, pageSize),
        next: active.length > pageSize ? (active[pageSize - 1]?.peerId ?? '') : '',
      };
    },

    async listMembers({ token, after, username }, caller) {
      askerOf(token, caller);
      return members.list(after, username);
    },

    async getMember({ token, memberId }, caller) {
      askerOf(token, caller);
      return { member: members.get(memberId) };
    },

    ...createFileHandlers({
      store,
      activePeers: () => peers.all(),
      random,
      peerOf: (token, caller) => askerOf(token, caller).peerId,
    }),
  };

  return {
    createUser: checked('createUser', handlers.createUser),
    login: checked('login', handlers.login),
    logout: checked('logout', handlers.logout),
    ping: checked('ping', handlers.ping),
    listPeers: checked('listPeers', handlers.listPeers),
    listMembers: checked('listMembers', handlers.listMembers),
    getMember: checked('getMember', handlers.getMember),
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
    if (needsToken && (typeof token !== 'string' || (token === '' && caller.memberId === undefined)))
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
