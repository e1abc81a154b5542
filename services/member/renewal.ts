import type { Bus } from '../bus/bus.ts';
import { membershipClient } from '../directory/client.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import { certificateFacts, isIssuedBy } from '../lib/identity/certificate.ts';
import { keepMembership, type Membership } from './home.ts';

export interface RenewalNeeds {
  /** Of role `member`. */
  readonly bus: Bus;
  readonly dataDir: string;
  readonly membership: Membership;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** A month before the end of ninety days: there is time to be away. */
const renewBeforeMs = 30 * 86_400_000;

/**
 * A new certificate, kept, when the old one has 30 days left or fewer.
 * @returns the membership as it is now: another one when it was renewed
 * @throws Failure RENEWAL: try again later
 */
export async function renewedMembership({ bus, dataDir, membership, now }: RenewalNeeds): Promise<Membership> {
  const { id, account, notAfter } = certificateFacts(membership.certificate);
  if (notAfter - now() > renewBeforeMs) return membership;
  const { directoryAccount: from, authorityCertificate } = membership;
  try {
    const { certificate } = await membershipClient(bus, from === undefined ? {} : { from }).renewCertificate({});
    const facts = certificateFacts(certificate);
    if (!isIssuedBy(authorityCertificate, certificate, now()) || facts.id !== id || facts.account !== account)
      throw new Error('what came is not a certificate of ours');
    const renewed = { ...membership, certificate };
    await keepMembership(dataDir, renewed);
    return renewed;
  } catch (cause) {
    throw new Failure(
      'RENEWAL',
      `the certificate, good until ${new Date(notAfter).toISOString()}, was not renewed: ${messageOf(cause)}`,
      {
        cause,
      },
    );
  }
}
