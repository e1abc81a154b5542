import { X509Certificate } from 'node:crypto';
import { type Direct, DirectContent } from '../../../proto/gen/warren/chat/v1/direct.ts';
import { Failure } from '../../lib/failure.ts';
import { certificateFacts, isIssuedBy } from '../../lib/identity/certificate.ts';
import { isSignedBy, type MemberKeys, signAs } from '../../lib/identity/keys.ts';
import type { MemberId } from '../../lib/identity/member-id.ts';
import { createSealingKeys, seal, sharedKey, unseal } from '../../lib/identity/sealing.ts';
import { mistakeInContent } from './bounds.ts';

/**
 * How a private message travels (direct.proto). Sealed to a key that the receiver published, since it may be away, with a key of this
 * message alone: so whoever gets the sender's keys later reads none of it, and whoever gets the receiver's reads what was sealed to the
 * sealing keys that it still has. The signature is over what is sealed and both ids: nobody can send it on as another's, nor to another.
 */
export interface DirectSender {
  readonly keys: MemberKeys;
  /** PEM or DER. */
  readonly certificate: string | Uint8Array;
}

export interface DirectReceiver {
  readonly id: MemberId;
  /** X25519, raw. */
  readonly sealingKey: Uint8Array;
}

const context = 'warren.chat.v1.Direct';

/** @throws Failure IDENTITY_KEY: the receiver's key is none */
export function sealDirect({ keys, certificate }: DirectSender, to: DirectReceiver, content: DirectContent): Direct {
  const ephemeral = createSealingKeys();
  const { publicKey: ephemeralKey } = ephemeral;
  const purpose = purposeOf(keys.id, to.id, ephemeralKey, to.sealingKey);
  const key = sharedKey(ephemeral.privateKey, to.sealingKey, purpose);
  const sealed = seal(key, DirectContent.encode(content).finish());
  return {
    certificate: new X509Certificate(certificate).raw,
    ephemeralKey: Buffer.from(ephemeralKey),
    sealingKey: Buffer.from(to.sealingKey),
    sealed,
    signature: Buffer.from(signAs(keys, context, transcript(keys.id, to.id, ephemeralKey, to.sealingKey, sealed))),
  };
}

export interface OpenedDirect {
  /** Whose certificate it is, as the network's authority signed it. */
  readonly account: string;
  readonly content: DirectContent;
}

/**
 * @param from the sender as the broker says
 * @param privateKeyOf ours, of a public one that we published and still have
 * @param now milliseconds since 1970
 * @throws Failure DIRECT_REFUSED: it is not from there, not for us, changed, or breaks a bound
 */
export function openDirect(
  direct: Direct,
  {
    from,
    to,
    authorityCertificate,
    privateKeyOf,
    now,
  }: {
    from: MemberId;
    to: MemberId;
    authorityCertificate: string;
    privateKeyOf: (publicKey: Uint8Array) => Uint8Array | undefined;
    now: number;
  },
): OpenedDirect {
  const { certificate, ephemeralKey, sealingKey, sealed, signature } = direct;
  if (ephemeralKey.length !== 32 || sealingKey.length !== 32) throw refused('a key of another length');
  if (!isIssuedBy(authorityCertificate, certificate, now)) throw refused('who sent it is no member of this network');
  const facts = factsOf(certificate);
  if (facts.id !== from) throw refused("it has somebody else's certificate");
  if (!isSignedBy(facts.publicKey, context, transcript(from, to, ephemeralKey, sealingKey, sealed), signature))
    throw refused('the signature is wrong');
  const privateKey = privateKeyOf(sealingKey);
  if (privateKey === undefined) throw refused('it is sealed to a key that is not ours (any more)');
  const content = unsealed(privateKey, direct, purposeOf(from, to, ephemeralKey, sealingKey));
  const mistake = mistakeInContent(content);
  if (mistake !== undefined) throw refused(mistake);
  return { account: facts.account, content };
}

function factsOf(certificate: Uint8Array): ReturnType<typeof certificateFacts> {
  try {
    return certificateFacts(certificate);
  } catch (cause) {
    throw refused("it has no member's certificate", cause);
  }
}

function unsealed(privateKey: Uint8Array, { ephemeralKey, sealed }: Direct, purpose: string): DirectContent {
  try {
    return DirectContent.decode(unseal(sharedKey(privateKey, ephemeralKey, purpose), sealed));
  } catch (cause) {
    throw refused('it cannot be opened', cause);
  }
}

function purposeOf(from: MemberId, to: MemberId, ephemeralKey: Uint8Array, sealingKey: Uint8Array): string {
  return `${context} ${from} ${to} ${Buffer.from(ephemeralKey).toString('hex')} ${Buffer.from(sealingKey).toString('hex')}`;
}

/** All but the last of fixed length, so that it can be read one way only. */
function transcript(
  from: MemberId,
  to: MemberId,
  ephemeralKey: Uint8Array,
  sealingKey: Uint8Array,
  sealed: Uint8Array,
): Buffer {
  return Buffer.concat([Buffer.from(`${from}${to}`), ephemeralKey, sealingKey, sealed]);
}

function refused(why: string, cause?: unknown): Failure {
  return new Failure('DIRECT_REFUSED', `a private message was refused: ${why}`, { cause });
}
