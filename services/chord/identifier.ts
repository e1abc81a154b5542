/**
 * A point on the circle of 2^160: of a node or of a key. A bigint: 14 ns for `isBetween` on the machine of docs/chord.md, as much as five
 * 32-bit words and a third of hex text, and it can be the key of a `Map`.
 */
export type Identifier = bigint & { readonly '~identifier': true };

export const bits = 160;
/** How many points there are. */
export const circle = 1n << BigInt(bits);

const digits = bits / 4;

/** @param value any whole number; what is past either end wraps around */
export function identifier(value: bigint): Identifier {
  return BigInt.asUintN(bits, value) as Identifier;
}

/** @returns 40 lower-case hex digits */
export function formatIdentifier(id: Identifier): string {
  return id.toString(16).padStart(digits, '0');
}

/** @returns undefined for anything but 40 lower-case hex digits */
export function parseIdentifier(text: string): Identifier | undefined {
  return /^[0-9a-f]{40}$/.test(text) ? (BigInt(`0x${text}`) as Identifier) : undefined;
}

/** The first 160 bits of a SHA-256. */
export function identifierOfHash(hash: Uint8Array): Identifier {
  let value = 0n;
  for (const octet of hash.subarray(0, bits / 8)) value = (value << 8n) | BigInt(octet);
  return value as Identifier;
}

/**
 * The place of a member's virtual node. It follows from the certified key, so that a place is costly to choose: number 0 has the first 160 bits
 * of the member id (which is the SHA-256 of the public key), each further one those of the hash of both.
 * @param member 64 lower-case hex digits
 * @param index from 0 to 65535
 */
export function identifierOfMember(
  member: string,
  index: number,
  sha256: (octets: Uint8Array) => Uint8Array,
): Identifier {
  if (index === 0) return BigInt(`0x${member.slice(0, digits)}`) as Identifier;
  const octets = new Uint8Array(34);
  for (let at = 0; at < 32; at++) octets[at] = Number.parseInt(member.slice(2 * at, 2 * at + 2), 16);
  octets[32] = index >>> 8;
  octets[33] = index & 0xff;
  return identifierOfHash(sha256(octets));
}

/** Clockwise; 0 for the same point. */
export function distance(from: Identifier, to: Identifier): bigint {
  return to >= from ? to - from : to - from + circle;
}

/** Whether clockwise from `low` one meets `id` before `high`, neither end counted. With `low` = `high` that is everything else. */
export function isBetween(low: Identifier, id: Identifier, high: Identifier): boolean {
  return low < high ? low < id && id < high : id > low || id < high;
}

/** As `isBetween`, and `high` counts. With `low` = `high` that is the whole circle: a node alone owns every key. */
export function isUpTo(low: Identifier, id: Identifier, high: Identifier): boolean {
  return low < high ? low < id && id <= high : id > low || id <= high;
}
