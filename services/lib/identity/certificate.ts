import { createHash, X509Certificate } from 'node:crypto';
import { Failure } from '../failure.ts';
import { memberIdOf, rawKeyOf } from './keys.ts';
import type { MemberId } from './member-id.ts';

export interface CertificateFacts {
  readonly id: MemberId;
  /** Raw, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** The account (user name) that the member belongs to. */
  readonly account: string;
  /** Lower-case hexadecimal. */
  readonly serial: string;
  /** Milliseconds since 1970. */
  readonly notAfter: number;
}

/**
 * What a member's certificate says, checked against the key in it; not who signed it, which TLS or `isIssuedBy` checks.
 * @param certificate PEM or DER
 * @throws Failure IDENTITY_CERTIFICATE
 */
export function certificateFacts(certificate: string | Uint8Array): CertificateFacts {
  const refuse = (why: string, cause?: unknown): never => {
    throw new Failure('IDENTITY_CERTIFICATE', `not a member's certificate: ${why}`, { cause });
  };
  let parsed: X509Certificate;
  let publicKey: Uint8Array;
  try {
    parsed = new X509Certificate(certificate);
    publicKey = rawKeyOf(parsed.publicKey);
  } catch (cause) {
    return refuse('it cannot be read, or its key is not Ed25519', cause);
  }
  // One attribute a line; a value that holds a line's end is escaped.
  const subject = new Map(parsed.subject.split('\n').map(line => line.split(/=(.*)/s).slice(0, 2) as [string, string]));
  const id = memberIdOf(publicKey);
  if (subject.get('CN') !== id) return refuse('its name is not the hash of its key');
  const account = subject.get('O');
  if (account === undefined) return refuse('it names no account');
  return {
    id,
    publicKey,
    account,
    serial: parsed.serialNumber.toLowerCase(),
    notAfter: parsed.validToDate.getTime(),
  };
}

/** Signed by that authority, and valid at `now` (milliseconds since 1970). */
export function isIssuedBy(authorityCertificate: string, certificate: string | Uint8Array, now: number): boolean {
  try {
    const ca = new X509Certificate(authorityCertificate);
    const parsed = new X509Certificate(certificate);
    return (
      ca.ca &&
      parsed.checkIssued(ca) &&
      parsed.verify(ca.publicKey) &&
      parsed.validFromDate.getTime() <= now &&
      now < parsed.validToDate.getTime()
    );
  } catch {
    return false;
  }
}

/** SHA-256 of the authority's certificate (DER), 64 lower-case hexadecimal digits: what an invite carries. */
export function fingerprintOf(authorityCertificate: string): string {
  return createHash('sha256').update(new X509Certificate(authorityCertificate).raw).digest('hex');
}
