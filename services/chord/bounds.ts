import { circle } from './identifier.ts';
import type { RingRecord } from './record.ts';

/** What a node takes from strangers, and no more. */

/** Octets of a value. */
export const maxValue = 64 * 1024;
/** Octets that a provider may say of itself. */
export const maxProviderValue = 1024;
/** Octets of a signature, and of a public key. */
export const maxSignature = 128;
/** Provider records for one file, at one node. */
export const maxProviders = 64;
/** Values that one writer may have at one node. */
export const maxSlotsOfWriter = 1024;
/** Files that one member may say it has, at one node; in a small ring each node is told of all of them. */
export const maxProvidedOfWriter = 16_384;
/** Slots of one node. */
export const maxSlots = 100_000;
/** Octets of values of one node. */
export const maxOctets = 256 * 1024 * 1024;
/** A week. */
export const maxLifeMs = 7 * 24 * 3_600_000;
/** How long it is remembered that something was removed; a holder that was cut off for longer may bring it back, until its own life ends. */
export const tombstoneLifeMs = 24 * 3_600_000;
/** Of one `reconcile`, each way. */
export const maxDigests = 512;
/** Of one `storeAll`, which are provider records: with the longest values 80 KiB. */
export const maxStored = 64;
/** Of one `retrieve`: with the largest values 1 MiB. */
export const maxRetrieved = 16;
/** Of `Reconciled.claimants`. */
export const maxClaimants = 8;
/** Of `Route.closer`: enough to route around silent nodes without asking the same node again, even where half of them are dead. */
export const maxCloser = 16;
/** Of a successor list. */
export const maxSuccessors = 64;
/** Of a member's virtual nodes. */
export const maxIndex = 255;

/** @returns what is wrong with it, for people; undefined when it may be kept */
export function problemOfRecord(record: RingRecord): string | undefined {
  const { key, kind, writer, counter, value, lifeMs, leftMs, publicKey, signature } = record;
  if (key < 0n || key >= circle) return 'the key is not of 160 bits';
  if (!/^[0-9a-f]{64}$/.test(writer)) return 'the writer is no member id';
  if (!Number.isSafeInteger(counter) || counter < 1) return 'the counter is not from 1 to 2^53 − 1';
  const most = kind === 'value' ? maxValue : maxProviderValue;
  if (value !== undefined && value.length > most) return `the value has more than ${most} octets`;
  const longest = value === undefined ? tombstoneLifeMs : maxLifeMs;
  if (!Number.isSafeInteger(lifeMs) || lifeMs < 1 || lifeMs > longest) return `it may live for ${longest} ms at most`;
  if (!(leftMs > 0 && leftMs <= lifeMs)) return 'its life is over, or longer than it was to be';
  if (publicKey.length > maxSignature || signature.length > maxSignature) return 'the signature is too long';
  return undefined;
}
