// The X.509 library wants it loaded before.
import 'reflect-metadata';
import { createHash, createPrivateKey, type KeyObject, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { Failure } from '../failure.ts';
import { memberIdOf, publicKeyOf, rawKeyOf } from './keys.ts';
import type { MemberId } from './member-id.ts';

/** The network's certificate authority: whose members' certificates it signs can speak gRPC with each other. */
export interface Authority {
  /** PEM; no secret. */
  readonly certificate: string;
  /** PKCS #8 in PEM: whoever has it can make members. */
  readonly key: string;
}

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

const ed25519 = { name: 'Ed25519' };
const year = 365 * 86_400_000;
/** For clocks that go behind the authority's. */
const backdateMs = 3_600_000;

x509.cryptoProvider.set(webcrypto as never);

/** @param now milliseconds since 1970. Valid for ten years. */
export async function createAuthority(now: number): Promise<Authority> {
  const pair = (await webcrypto.subtle.generateKey(ed25519, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: [{ CN: ['Warren network'] }],
    notBefore: new Date(now - backdateMs),
    notAfter: new Date(now + 10 * year),
    signingAlgorithm: ed25519,
    keys: pair,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(pair.publicKey),
    ],
  });
  const key = await webcrypto.subtle.exportKey('pkcs8', pair.privateKey);
  return { certificate: `${certificate.toString('pem')}\n`, key: x509.PemConverter.encode(key, 'PRIVATE KEY') };
}

/**
 * Signs a member's key into a certificate, for both ends of mutual TLS. Its subject is the member's id and account; names of
 * hosts are not in it, because members are told apart by their keys and not by where they are.
 * @param publicKey raw, 32 bytes
 * @param now milliseconds since 1970
 * @returns PEM
 * @throws Failure IDENTITY_KEY
 */
export async function issueCertificate(
  authority: Authority,
  { publicKey, account, now, days }: { publicKey: Uint8Array; account: string; now: number; days: number },
): Promise<string> {
  const ca = new x509.X509Certificate(authority.certificate);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    issuer: ca.subject,
    subject: new x509.Name([{ CN: [memberIdOf(publicKey)] }, { O: [account] }]),
    notBefore: new Date(now - backdateMs),
    notAfter: new Date(now + days * 86_400_000),
    signingAlgorithm: ed25519,
    publicKey: await importPublic(publicKey),
    signingKey: await importPrivate(createPrivateKey(authority.key)),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth, x509.ExtendedKeyUsage.serverAuth], true),
      await x509.AuthorityKeyIdentifierExtension.create(ca),
    ],
  });
  return `${certificate.toString('pem')}\n`;
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

/** 127 random bits, positive (RFC 5280, 4.1.2.2). */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

async function importPublic(raw: Uint8Array): Promise<webcrypto.CryptoKey> {
  const spki = publicKeyOf(raw).export({ type: 'spki', format: 'der' });
  return webcrypto.subtle.importKey('spki', spki, ed25519, true, ['verify']);
}

async function importPrivate(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' });
  return webcrypto.subtle.importKey('pkcs8', pkcs8, ed25519, false, ['sign']);
}
