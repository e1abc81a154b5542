import { Enrolled, Enrolment } from '../../proto/gen/warren/directory/v1/enrolment.ts';
import { isSignedBy, type MemberKeys, signAs } from '../lib/identity/keys.ts';
import { seal, sharedKey, unseal } from '../lib/identity/sealing.ts';

/**
 * How an enrolment travels. Request and answer are sealed with keys that come from the joiner's ephemeral key and the key of the
 * invite, whose public half is in the invite's line: so only the directory reads the request, only the joiner the answer, and
 * neither the broker nor another who has the line can stand between. The invite's private half goes when the invite is used up;
 * what was recorded before cannot be read afterwards.
 */
export interface EnrolmentSeals {
  readonly request: Uint8Array;
  readonly answer: Uint8Array;
}

/** @param own private, @param others public: of the ephemeral key and the invite's, or the other way round @throws Failure IDENTITY_KEY */
export function enrolmentSeals(
  own: Uint8Array,
  others: Uint8Array,
  inviteId: string,
  ephemeralKey: Uint8Array,
): EnrolmentSeals {
  const bound = `${inviteId} ${Buffer.from(ephemeralKey).toString('hex')}`;
  return {
    request: sharedKey(own, others, `warren.directory.v1.Enrolment ${bound}`),
    answer: sharedKey(own, others, `warren.directory.v1.Enrolled ${bound}`),
  };
}

const context = 'warren.directory.v1.Enrolment';

/** Signs the key of this one attempt: nobody can send the signature on under another. */
export function signEnrolment(keys: MemberKeys, ephemeralKey: Uint8Array): Buffer {
  return Buffer.from(signAs(keys, context, ephemeralKey));
}

export function isSignedEnrolment({ publicKey, signature }: Enrolment, ephemeralKey: Uint8Array): boolean {
  return isSignedBy(publicKey, context, ephemeralKey, signature);
}

export function sealEnrolment(seals: EnrolmentSeals, enrolment: Enrolment): Buffer {
  return seal(seals.request, Enrolment.encode(enrolment).finish());
}

/** @throws Failure IDENTITY_SEAL; and what decoding throws */
export function openEnrolment(seals: EnrolmentSeals, sealed: Uint8Array): Enrolment {
  return Enrolment.decode(unseal(seals.request, sealed));
}

export function sealEnrolled(seals: EnrolmentSeals, enrolled: Enrolled): Buffer {
  return seal(seals.answer, Enrolled.encode(enrolled).finish());
}

/** @throws Failure IDENTITY_SEAL; and what decoding throws */
export function openEnrolled(seals: EnrolmentSeals, sealed: Uint8Array): Enrolled {
  return Enrolled.decode(unseal(seals.answer, sealed));
}
