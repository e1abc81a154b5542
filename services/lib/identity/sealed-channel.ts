import { createCipheriv, createDecipheriv, createHash, hkdfSync, type KeyObject } from 'node:crypto';
import { Failure } from '../failure.ts';
import { isSignedBy, type MemberKeys, memberIdOf, signAs } from './keys.ts';
import type { MemberId } from './member-id.ts';
import { newX25519Key, rawPublicKeyOf, sharedSecret } from './x25519.ts';

/** What each side says of itself when a channel opens (relay.proto, where the protocol stands). */
export interface Introduction {
  /** Raw Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Raw X25519, 32 bytes. */
  readonly newKey: Uint8Array;
  readonly signature: Uint8Array;
}

/** Both directions of an open channel. Frames must be opened in the order in which they were sealed, each once. */
export interface SealedChannel {
  /** @returns what was given, sealed: 16 bytes longer */
  seal(parts: readonly Uint8Array[]): Buffer;
  /** @throws Failure CHANNEL_BROKEN: changed, repeated, left out, or not of this channel */
  open(frame: Uint8Array): Buffer;
}

export const sealBytes = 16;
const context = 'warren.bus.v1.RelayOpen';
const cipher = 'aes-256-gcm';

/**
 * The side that opens.
 * @param channel 32 hexadecimal digits, new
 * @param peer whom it means, and nobody else
 */
export function introduce(
  keys: MemberKeys,
  channel: string,
  peer: MemberId,
): { introduction: Introduction; complete(answer: Introduction): SealedChannel } {
  const own = newX25519Key();
  const newKey = rawPublicKeyOf(own);
  const introduction = {
    publicKey: keys.publicKey,
    newKey,
    signature: signAs(keys, context, transcript('initiator', channel, keys.id, peer, newKey)),
  };
  return {
    introduction,
    complete: answer => {
      const signed = transcript('responder', channel, keys.id, peer, newKey, answer.newKey);
      check(answer, peer, signed);
      return channelOf(own, answer.newKey, signed, 'initiator');
    },
  };
}

/** The side that answers. @param peer who asks, as the broker says @throws Failure CHANNEL_BROKEN */
export function answer(
  keys: MemberKeys,
  channel: string,
  peer: MemberId,
  introduction: Introduction,
): { introduction: Introduction; sealed: SealedChannel } {
  check(introduction, peer, transcript('initiator', channel, peer, keys.id, introduction.newKey));
  const own = newX25519Key();
  const newKey = rawPublicKeyOf(own);
  const signed = transcript('responder', channel, peer, keys.id, introduction.newKey, newKey);
  return {
    introduction: { publicKey: keys.publicKey, newKey, signature: signAs(keys, context, signed) },
    sealed: channelOf(own, introduction.newKey, signed, 'responder'),
  };
}

type Side = 'initiator' | 'responder';

/** All of it of fixed length, so that it can be read one way only. */
function transcript(
  side: Side,
  channel: string,
  initiator: MemberId,
  responder: MemberId,
  ...newKeys: readonly Uint8Array[]
): Buffer {
  if (!/^[0-9a-f]{32}$/.test(channel)) throw broken('a channel of that name cannot be');
  for (const { length } of newKeys) if (length !== 32) throw broken('a key of another length');
  return Buffer.concat([Buffer.from(`${side}${channel}${initiator}${responder}`), ...newKeys]);
}

function check({ publicKey, signature }: Introduction, peer: MemberId, signed: Uint8Array): void {
  if (memberIdOf(publicKey) !== peer) throw broken('somebody else answers');
  if (!isSignedBy(publicKey, context, signed, signature)) throw broken('the signature is wrong');
}

function channelOf(own: KeyObject, newKey: Uint8Array, signed: Uint8Array, side: Side): SealedChannel {
  let secret: Buffer;
  try {
    secret = sharedSecret(own, newKey);
  } catch (cause) {
    throw broken('a key that is none', cause);
  }
  const salt = createHash('sha256').update(signed).digest();
  const keyOf = (from: Side): Buffer =>
    Buffer.from(hkdfSync('sha256', secret, salt, `warren relay, frames of the ${from}`, 32));
  const sealKey = keyOf(side);
  const openKey = keyOf(side === 'initiator' ? 'responder' : 'initiator');
  const sealNonce = Buffer.alloc(12);
  const openNonce = Buffer.alloc(12);
  let isBroken = false;
  return {
    seal: parts => {
      const sealing = createCipheriv(cipher, sealKey, sealNonce);
      countUp(sealNonce);
      const pieces = parts.map(part => sealing.update(part));
      pieces.push(sealing.final(), sealing.getAuthTag());
      return Buffer.concat(pieces);
    },
    open: frame => {
      if (isBroken || frame.length < sealBytes) throw broken('a frame is not what was sealed');
      const opening = createDecipheriv(cipher, openKey, openNonce);
      countUp(openNonce);
      opening.setAuthTag(frame.subarray(frame.length - sealBytes));
      const content = opening.update(frame.subarray(0, frame.length - sealBytes));
      try {
        opening.final();
      } catch (cause) {
        isBroken = true;
        throw broken('a frame is not what was sealed, or not the next one', cause);
      }
      return content;
    },
  };
}

function countUp(nonce: Buffer): void {
  nonce.writeBigUInt64BE(nonce.readBigUInt64BE(4) + 1n, 4);
}

function broken(why: string, cause?: unknown): Failure {
  return new Failure('CHANNEL_BROKEN', `the sealed channel is broken: ${why}`, { cause });
}
