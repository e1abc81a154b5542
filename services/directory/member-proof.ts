import { LoginRequest } from '../../proto/gen/warren/directory/v1/directory.ts';
import { isSignedBy, type MemberKeys, memberIdOf, signAs } from '../lib/identity/keys.ts';
import type { MemberId } from '../lib/identity/member-id.ts';
import { CallFailure } from '../lib/rpc/call-failure.ts';

const context = 'warren.directory.v1.LoginRequest';

/**
 * As which member somebody logs in: as the one whose broker account the call came from, or the one who signed it; undefined: none.
 * @param accountOf a member's, which may act; any key can sign
 * @throws CallFailure DIRECTORY_MEMBER when it says that it is one, and does not show it
 */
export function memberIn(
  request: LoginRequest,
  caller: MemberId | undefined,
  accountOf: (id: MemberId) => string | undefined,
): MemberId | undefined {
  const { memberKey = '', memberSignature = '' } = request;
  if (memberKey === '' && memberSignature === '') return caller;
  const publicKey = Buffer.from(memberKey, 'hex');
  const signature = Buffer.from(memberSignature, 'hex');
  const id = memberIdOf(publicKey);
  if (!isSignedBy(publicKey, context, signedBytes(request), signature) || (caller ?? id) !== id)
    throw new CallFailure(
      'UNAUTHENTICATED',
      'DIRECTORY_MEMBER',
      'the signature is not of this member and this request',
    );
  if (accountOf(id) !== request.username)
    throw new CallFailure('UNAUTHENTICATED', 'DIRECTORY_MEMBER', 'this machine is no member of that account');
  return id;
}

/** The request of a member that logs in over REST: with its key, and its signature. */
export function signedLogin(
  keys: MemberKeys,
  request: Pick<LoginRequest, 'username' | 'password' | 'addresses'>,
): LoginRequest {
  const signature = signAs(keys, context, signedBytes(request));
  return {
    ...request,
    memberKey: Buffer.from(keys.publicKey).toString('hex'),
    memberSignature: Buffer.from(signature).toString('hex'),
  };
}

function signedBytes({
  username,
  password,
  addresses,
}: Pick<LoginRequest, 'username' | 'password' | 'addresses'>): Uint8Array {
  return LoginRequest.encode({ username, password, addresses }).finish();
}
