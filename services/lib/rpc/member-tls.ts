import type { PeerCertificate } from 'node:tls';
import { type ChannelCredentials, credentials, ServerCredentials } from '@grpc/grpc-js';
import { Failure } from '../failure.ts';
import { certificateFacts } from '../identity/certificate.ts';
import type { MemberId } from '../identity/member-id.ts';

/** What a member shows, and by what it checks others. All PEM. */
export interface MemberCredentials {
  readonly authorityCertificate: string;
  readonly certificate: string;
  /** A secret. */
  readonly key: string;
}

/** For channels with these credentials. Members have no host names, and TLS knows no addresses for names (RFC 6066 §3). */
export const memberChannelOptions = { 'grpc.ssl_target_name_override': 'member.warren' } as const;

/** Nobody without a certificate of the network's authority gets as far as a call. */
export function memberServerCredentials({
  authorityCertificate,
  certificate,
  key,
}: MemberCredentials): ServerCredentials {
  const pair = { cert_chain: Buffer.from(certificate), private_key: Buffer.from(key) };
  return ServerCredentials.createSsl(Buffer.from(authorityCertificate), [pair], true);
}

/**
 * To one member and no other: a certificate of the right authority and another key ends the handshake. To any member, when none is meant.
 * @param isRevoked asked with the certificate's serial, on each handshake
 */
export function memberChannelCredentials(
  { authorityCertificate, certificate, key }: MemberCredentials,
  meant: MemberId | undefined,
  isRevoked: (serial: string) => boolean = () => false,
): ChannelCredentials {
  return credentials.createSsl(Buffer.from(authorityCertificate), Buffer.from(key), Buffer.from(certificate), {
    // Instead of the host's name: members are who their keys are, wherever they are.
    checkServerIdentity: (_host: string, { raw }: PeerCertificate) => {
      try {
        const { id, serial } = certificateFacts(raw);
        if (meant !== undefined && id !== meant)
          return new Failure('MEMBER_OTHER', `member ${id} answered, where ${meant} was meant`);
        if (isRevoked(serial)) return new Failure('MEMBER_REVOKED', `the certificate of member ${id} is revoked`);
        return undefined;
      } catch (error) {
        return error as Error;
      }
    },
  });
}
