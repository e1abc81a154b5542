import { createHash, timingSafeEqual } from 'node:crypto';
import {
  Enrolled,
  type Enrolment,
  type EnrolmentServiceDefinition,
  type EnrolRequest,
} from '../../proto/gen/warren/directory/v1/enrolment.ts';
import { hashBrokerPassword } from '../bus/accounts/password-hash.ts';
import { inviteAccountName } from '../bus/accounts/specs.ts';
import type { QueueKind } from '../bus/topology.ts';
import { type Authority, issueCertificate } from '../lib/identity/authority.ts';
import { certificateFacts } from '../lib/identity/certificate.ts';
import { memberIdOf } from '../lib/identity/keys.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import type { Caller, Handlers } from '../lib/rpc/definition.ts';
import type { Attempts } from './attempts.ts';
import {
  type EnrolmentSeals,
  enrolmentSeals,
  isSignedEnrolment,
  openEnrolment,
  sealEnrolled,
} from './enrolment-seal.ts';
import type { InviteRow } from './invite-store.ts';
import type { MemberRow } from './member-store.ts';
import { mistakeInName, mistakeInPassword } from './methods.ts';
import { hashPassword, noPassword, verifyPassword } from './password.ts';
import type { DirectoryStore } from './store.ts';

export interface EnrolmentNeeds {
  readonly store: DirectoryStore;
  readonly authority: Authority;
  readonly attempts: Attempts;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** 64 hexadecimal digits, at random. */
  readonly newPassword: () => string;
  /** Four bytes, at random. */
  readonly newSalt: () => Uint8Array;
  /** Makes the broker's accounts those of the store. */
  readonly syncAccounts: () => Promise<void>;
}

export interface EnrolmentOptions {
  /** As others see the broker, without an account. */
  readonly brokerUrls: readonly string[];
  readonly queueType: QueueKind;
  readonly certificateDays: number;
}

/**
 * Makes a member of whoever has an invite: its secret, a key, and a right to the account it names. Asked again by the same key it
 * answers again, with a new certificate and password; the last answer counts. An invite is one key's from the moment that all is
 * in order: of two at once one wins, in the store.
 */
export function createEnrolment(
  { store, authority, attempts, now, newPassword, newSalt, syncAccounts }: EnrolmentNeeds,
  { brokerUrls, queueType, certificateDays }: EnrolmentOptions,
): Handlers<typeof EnrolmentServiceDefinition> {
  const enrol = async (request: EnrolRequest, { address, signal }: Caller) => {
    const invite = store.invites.find(request.inviteId);
    if (invite === undefined || address !== `bus:${inviteAccountName(invite.id)}`) throw unknownInvite();
    if (invite.expiresAt <= now())
      throw new CallFailure('FAILED_PRECONDITION', 'ENROL_EXPIRED', 'the invite has expired: ask for another');
    const { seals, enrolment } = open(invite, request);
    const id = memberIdOf(enrolment.publicKey);
    const used = new CallFailure(
      'FAILED_PRECONDITION',
      'ENROL_USED',
      'the invite was used by another machine: ask for one of your own',
    );
    if (invite.usedBy !== undefined && invite.usedBy !== id) throw used;
    const before = store.members.find(id);
    if (before?.revokedAt !== undefined)
      throw new CallFailure(
        'PERMISSION_DENIED',
        'ENROL_REVOKED',
        'this machine was revoked, and its key is not let in again',
      );

    const username = enrolment.username || invite.username || before?.username || '';
    const mayActAs = await rightTo(username, { invite, before, enrolment }, address, signal);
    const certificate = await issueCertificate(authority, {
      publicKey: enrolment.publicKey,
      account: username,
      now: now(),
      days: certificateDays,
    });
    const { serial, notAfter } = certificateFacts(certificate);
    const brokerPassword = newPassword();
    // Whoever waits no longer asks again, and must not find what it got then undone.
    signal.throwIfAborted();
    store.transaction(() => {
      if (!store.invites.use(invite.id, id)) throw used;
      // Revoked, or made one of another account, in this very moment.
      const found = store.members.find(id);
      if (found?.revokedAt !== before?.revokedAt || (found !== undefined && found.username !== username) || !mayActAs())
        throw new CallFailure('ABORTED', 'ENROL_CHANGED', 'something changed meanwhile: join once more');
      store.members.put({
        id,
        publicKey: enrolment.publicKey,
        username,
        services: invite.services,
        brokerHash: hashBrokerPassword(brokerPassword, newSalt()),
        joinedAt: now(),
        certificateEndsAt: notAfter,
      });
      store.members.addCertificate(id, { serial, endsAt: notAfter }, now());
    });
    await syncAccounts().catch(cause => {
      throw new CallFailure(
        'UNAVAILABLE',
        'ENROL_ACCOUNTS',
        'the directory cannot make accounts on the broker now: join once more, with the same invite',
        { cause, retryAfterMs: 1_000 },
      );
    });
    const enrolled = Enrolled.create({
      authorityCertificate: authority.certificate,
      certificate,
      brokerPassword,
      brokerUrls: [...brokerUrls],
      queueType,
      services: [...invite.services],
      username,
    });
    return { sealed: sealEnrolled(seals, enrolled) };
  };

  /**
   * Whether the joiner may be that account: its own already, the invite's, a new one, or one whose password it gives.
   * @returns asked once more in the transaction: makes the account if it is new, and says whether all is still so
   */
  const rightTo = async (
    username: string,
    { invite, before, enrolment }: { invite: InviteRow; before: MemberRow | undefined; enrolment: Enrolment },
    address: string,
    signal: AbortSignal,
  ): Promise<() => boolean> => {
    const refuse = (code: string, why: string): never => {
      throw new CallFailure('PERMISSION_DENIED', code, why);
    };
    const mistake = mistakeInName(username);
    if (mistake !== undefined) throw new CallFailure('INVALID_ARGUMENT', 'ENROL_REQUEST', mistake);
    if (invite.username !== undefined && invite.username !== username)
      refuse('ENROL_USER', `the invite is for ${invite.username}`);
    if (before !== undefined && before.username !== username)
      refuse('ENROL_USER', `this machine belongs to ${before.username}: say --user ${before.username}`);

    const account = store.findAccount(username);
    const isAsItWas = (): boolean => {
      const found = store.findAccount(username);
      return found?.passwordHash === account?.passwordHash && found?.isDisabled === account?.isDisabled;
    };
    if (account === undefined) {
      const wrong = enrolment.password === '' ? undefined : mistakeInPassword(enrolment.password);
      if (wrong !== undefined) throw new CallFailure('INVALID_ARGUMENT', 'ENROL_REQUEST', wrong);
      const hash = enrolment.password === '' ? noPassword : await hashPassword(enrolment.password, signal);
      return () => store.addAccount(username, hash, now());
    }
    if (!account.isDisabled && (invite.username === username || before?.username === username)) return isAsItWas;
    if (enrolment.password === '')
      refuse('ENROL_PASSWORD', `there is an account ${username}: give its password, or join as another --user`);
    const isRight = await attempts.check(username, address, () =>
      verifyPassword(enrolment.password, account.passwordHash, signal),
    );
    if (!isRight || account.isDisabled)
      throw new CallFailure('UNAUTHENTICATED', 'ENROL_PASSWORD', 'wrong user name or password');
    return isAsItWas;
  };

  return { enrol };
}

/** @throws CallFailure when it does not come from who has the invite's line and the key */
function open(
  invite: InviteRow,
  { ephemeralKey, sealed }: EnrolRequest,
): { seals: EnrolmentSeals; enrolment: Enrolment } {
  if (sealed.length > longestSealed) throw unknownInvite();
  let seals: EnrolmentSeals;
  let enrolment: Enrolment;
  try {
    seals = enrolmentSeals(invite.sealingKey, ephemeralKey, invite.id, ephemeralKey);
    enrolment = openEnrolment(seals, sealed);
  } catch (cause) {
    throw unknownInvite(cause);
  }
  const proofHash = createHash('sha256').update(enrolment.proof).digest();
  if (!timingSafeEqual(proofHash, invite.proofHash)) throw unknownInvite();
  if (!isSignedEnrolment(enrolment, ephemeralKey))
    throw new CallFailure('UNAUTHENTICATED', 'ENROL_KEY', 'the enrolment is not signed with the key that it shows');
  return { seals, enrolment };
}

const longestSealed = 4_096;

/** One answer to all that do not show that they have the invite. */
function unknownInvite(cause?: unknown): CallFailure {
  return new CallFailure(
    'PERMISSION_DENIED',
    'ENROL_INVITE',
    'the directory does not know this invite: ask for another',
    {
      cause,
    },
  );
}
