// The X.509 library wants it loaded before.
import 'reflect-metadata';
import { createPrivateKey, type KeyObject, randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { memberIdOf, publicKeyOf } from './keys.ts';

/** The network's certificate authority: whose members' certificates it signs can speak gRPC with each other. */
export interface Authority {
  /** PEM; no secret. */
  readonly certificate: string;
  /** PKCS #8 in PEM: whoever has it can make members. */
  readonly key: string;
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
