import { setTimeout as wait } from 'node:timers/promises';
import {
  type Enrolled,
  Enrolment,
  EnrolRequest,
  type InviteLine,
} from '../../proto/gen/warren/directory/v1/enrolment.ts';
import { inviteAccountName } from '../bus/accounts/specs.ts';
import { createBus } from '../bus/amqp-bus.ts';
import type { Bus } from '../bus/bus.ts';
import { roles } from '../bus/topology.ts';
import { directoryClient, enrolmentClient } from '../directory/client.ts';
import { enrolmentSeals, openEnrolled, sealEnrolment, signEnrolment } from '../directory/enrolment-seal.ts';
import { inviteSecrets, parseInviteLine } from '../directory/invite-line.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import { certificateFacts, fingerprintOf, isIssuedBy } from '../lib/identity/certificate.ts';
import type { MemberKeys } from '../lib/identity/keys.ts';
import { brokerAccountOf, type MemberId } from '../lib/identity/member-id.ts';
import { createSealingKeys } from '../lib/identity/sealing.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';
import { claimHome, keepMembership, keptMemberKeys, type Membership } from './home.ts';

export interface JoinOptions {
  /** What `warren invite` printed. */
  readonly line: string;
  readonly dataDir: string;
  /** The account to belong to; none: the invite's, else the one that this machine belongs to already. */
  readonly username?: string;
  /** Of the account, when there is one; of a new one: without it, nobody can log in but its machines. */
  readonly password?: string;
  /** Milliseconds for all of it. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

export interface Joined {
  readonly id: MemberId;
  readonly username: string;
  readonly membership: Membership;
}

const patienceMs = 30_000;
const callMs = 10_000;
const retryMs = 200;

/**
 * Makes this machine a member: its key, made or kept; a certificate and a broker account for it, kept in `<data>/member`. May be
 * repeated with the same invite until it has succeeded once: nothing is half done.
 * @throws Failure JOIN_LINE, JOIN_INVITE, JOIN_BROKER, JOIN_AUTHORITY, MEMBER_HOME, MEMBER_HELD, and what the directory answers (ENROL_…)
 */
export async function join({
  line: text,
  dataDir,
  username = '',
  password = '',
  deadlineMs = patienceMs,
  signal,
}: JoinOptions): Promise<Joined> {
  const line = parseInviteLine(text);
  const mine = await claimHome(dataDir);
  try {
    return await joinIn(dataDir, line, { username, password }, deadlineMs, signal);
  } finally {
    await mine.release();
  }
}

async function joinIn(
  dataDir: string,
  line: InviteLine,
  account: { username: string; password: string },
  deadlineMs: number,
  signal: AbortSignal | undefined,
): Promise<Joined> {
  const keys = await keptMemberKeys(dataDir);
  const within = AbortSignal.any([AbortSignal.timeout(deadlineMs), ...(signal === undefined ? [] : [signal])]);
  // An answer that comes so late that we asked again has a password that the second one took back.
  for (let attempt = 0; ; attempt++) {
    const joined = await enrolled(line, keys, account, within);
    await keepMembership(dataDir, joined.membership);
    try {
      await sayHello(joined, within);
      return joined;
    } catch (error) {
      if (attempt > 0 || !(error instanceof Failure && error.code === 'BUS_LOGIN')) throw error;
    }
  }
}

/** Asks the directory, again where that may help. */
async function enrolled(
  line: InviteLine,
  keys: MemberKeys,
  account: { username: string; password: string },
  signal: AbortSignal,
): Promise<Joined> {
  const urls = withAccount(
    line.brokerUrls,
    inviteAccountName(line.inviteId),
    inviteSecrets(line.secret).brokerPassword,
  );
  return await onBus(urls, 'warren join', signal, async bus => {
    const client = enrolmentClient(bus, { from: directoryOf(line) });
    for (;;) {
      try {
        return await enrolOnce(client, line, keys, account, signal);
      } catch (error) {
        if (!isWorthAnotherTry(error) || signal.aborted) throw error;
        const pauseMs = error instanceof CallFailure ? (error.retryAfterMs ?? retryMs) : retryMs;
        // Out of time meanwhile: what went wrong says more than that.
        await wait(pauseMs, undefined, { signal }).catch(() => {
          throw error;
        });
        await bus.ready(signal);
      }
    }
  }).catch(error => {
    throw refusal(error, line);
  });
}

async function enrolOnce(
  client: ReturnType<typeof enrolmentClient>,
  line: InviteLine,
  keys: MemberKeys,
  { username, password }: { username: string; password: string },
  signal: AbortSignal,
): Promise<Joined> {
  const ephemeral = createSealingKeys();
  const seals = enrolmentSeals(ephemeral.privateKey, line.sealingKey, line.inviteId, ephemeral.publicKey);
  const sealed = sealEnrolment(
    seals,
    Enrolment.create({
      publicKey: Buffer.from(keys.publicKey),
      proof: inviteSecrets(line.secret).proof,
      username,
      password,
      signature: signEnrolment(keys, ephemeral.publicKey),
    }),
  );
  const request = EnrolRequest.create({
    inviteId: line.inviteId,
    ephemeralKey: Buffer.from(ephemeral.publicKey),
    sealed,
  });
  const answer = await client.enrol(request, { deadlineMs: callMs, signal });
  return joinedBy(openEnrolled(seals, answer.sealed), line, keys);
}

/** @throws Failure JOIN_AUTHORITY when it is not the network that the invite speaks of */
function joinedBy(answer: Enrolled, line: InviteLine, keys: MemberKeys): Joined {
  const { authorityCertificate, certificate, brokerPassword, queueType, services, username } = answer;
  const wrong = (why: string): Failure => new Failure('JOIN_AUTHORITY', `not joined: ${why}`);
  let fingerprint = '';
  try {
    fingerprint = fingerprintOf(authorityCertificate);
  } catch {
    // Said below.
  }
  if (fingerprint !== line.authorityFingerprint.toString('hex'))
    throw wrong("the directory's authority is not the one of the invite");
  if (!isIssuedBy(authorityCertificate, certificate, Date.now()))
    throw wrong("the certificate is not the authority's, or this machine's clock is wrong");
  const { id, account } = certificateFacts(certificate);
  if (id !== keys.id || account !== username) throw wrong('the certificate is of somebody else');
  return {
    id,
    username,
    membership: {
      authorityCertificate,
      certificate,
      // Those that were just used: the directory may know the broker by names that are of no use here.
      brokerUrls: withAccount(line.brokerUrls, brokerAccountOf(id), brokerPassword),
      queueType: queueType === 'quorum' ? 'quorum' : 'classic',
      services,
      directoryAccount: directoryOf(line),
    },
  };
}

/** First login with the account of its own: so the directory knows that the invite is not needed any more. */
async function sayHello({ id, membership }: Joined, signal: AbortSignal): Promise<void> {
  const { brokerUrls, directoryAccount } = membership;
  await onBus(brokerUrls, 'warren join', signal, async bus => {
    const from = directoryAccount === undefined ? {} : { from: directoryAccount };
    await directoryClient(bus, from).getMember({ token: '', memberId: id }, { deadlineMs: callMs, signal });
  });
}

async function onBus<T>(urls: readonly string[], name: string, signal: AbortSignal, act: (bus: Bus) => Promise<T>) {
  const bus = createBus({ urls, name, role: roles.caller() });
  try {
    await bus.ready(signal);
    return await act(bus);
  } finally {
    await bus.close(0);
  }
}

function withAccount(places: readonly string[], user: string, password: string): string[] {
  return places.map(place => {
    const url = new URL(place);
    url.username = user;
    url.password = password;
    return url.href;
  });
}

function directoryOf(line: InviteLine): string {
  return line.directoryAccount || 'directory';
}

/** The answer is lost, not a refusal: asking again with the same key is safe. */
function isWorthAnotherTry(error: unknown): boolean {
  if (error instanceof CallFailure) return error.status === 'UNAVAILABLE' || error.status === 'ABORTED';
  return error instanceof Failure && ['BUS_DEADLINE', 'BUS_LOST', 'BUS_NO_RECEIVER'].includes(error.code);
}

/** What the broker says of an invite, in words about the invite. */
function refusal(error: unknown, line: InviteLine): unknown {
  if (!(error instanceof Failure) || error instanceof CallFailure || !error.code.startsWith('BUS_')) return error;
  if (error.code === 'BUS_LOGIN' || error.code === 'BUS_RIGHTS') {
    const why =
      line.expiresAtMs <= Date.now()
        ? `it has expired (${new Date(line.expiresAtMs).toISOString()})`
        : 'it was used, or withdrawn';
    return new Failure('JOIN_INVITE', `the broker does not take this invite: ${why}; ask for another`, {
      cause: error,
    });
  }
  return new Failure('JOIN_BROKER', `not joined: ${messageOf(error)}`, { cause: error });
}
