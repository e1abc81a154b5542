import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SessionServiceDefinition } from '../../proto/gen/warren/member/v1/session.ts';
import type { MemberHost } from '../bus/hosted.ts';
import { messageOf } from '../lib/failure.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { Handlers } from '../lib/rpc/definition.ts';
import { memberDir } from './home.ts';
import type { Presence } from './presence.ts';

export interface SessionNeeds {
  readonly dataDir: string;
  readonly presence: Presence;
  readonly directory: MemberHost['directory'];
  /** The member's, as its certificate says it. */
  readonly account: () => string;
  readonly warn: (line: string) => void;
}

/** Less than that of whoever asks, in milliseconds. */
const patienceMs = 4_000;

/** Its being there says that the member is logged out, over a restart too. */
export function loggedOutFile(dataDir: string): string {
  return join(memberDir(dataDir), 'logged-out');
}

/** Logging in and out, for the owner. */
export function createOwnerSession(needs: SessionNeeds): Handlers<typeof SessionServiceDefinition> {
  const { dataDir, presence, directory, account, warn } = needs;
  // Of a login with a password; it ends with the logout.
  let token = '';
  return {
    async logIn({ username, password }, { signal }) {
      const own = account();
      if (username !== '' && username !== own)
        throw new CallFailure(
          'PERMISSION_DENIED',
          'SESSION_ACCOUNT',
          `this member belongs to ${own}: for ${username} another home has to join, warren join LINE --user ${username} --data DIR`,
        );
      if (password !== '') ({ token } = await directory.login({ username: own, password, addresses: [] }, { signal }));
      await rm(loggedOutFile(dataDir), { force: true });
      const late = AbortSignal.timeout(patienceMs);
      try {
        const { leaseMs } = await presence.enter(AbortSignal.any([signal, late]));
        return { account: own, leaseMs };
      } catch (error) {
        if (!late.aborted) throw error;
        throw new CallFailure(
          'UNAVAILABLE',
          'SESSION_AWAY',
          'the directory does not answer: this member logs in as soon as it does',
          { cause: error },
        );
      }
    },
    async logOut(_request, { signal }) {
      await writeFile(loggedOutFile(dataDir), '', { mode: 0o600 });
      await presence.leave();
      const ended = token;
      token = '';
      const asked = { signal, deadlineMs: patienceMs };
      try {
        // By its key, or its own session over REST.
        await directory.logout({ token: '' }, asked);
        if (ended !== '') await directory.logout({ token: ended }, asked);
        return { isTold: true };
      } catch (error) {
        warn(`the directory was not told of the logout, and finds out when the lease ends: ${messageOf(error)}`);
        return { isTold: false };
      }
    },
    async getSession() {
      return { account: account(), isLoggedIn: !presence.isOut };
    },
  };
}
