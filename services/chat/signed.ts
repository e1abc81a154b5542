import { isSignedBy, type MemberKeys, memberIdOf, signAs } from '../lib/identity/keys.ts';
import type { Input } from './core/entry.ts';
import { encodeSaid, type Unsigned } from './wire.ts';

const context = 'warren.chat.v1.Said';

/** What a member says in a chat, so that everybody can check that it did. */
export function signInput(keys: MemberKeys, chat: string, unsigned: Unsigned): Input {
  const said = encodeSaid(chat, unsigned);
  return { ...unsigned, proof: { said, publicKey: keys.publicKey, signature: signAs(keys, context, said) } };
}

/** Whether its sender has signed it; an input that was decoded says the same as what is signed. Some 60 µs. */
export function isAuthentic({ sender, proof: { said, publicKey, signature } }: Input): boolean {
  return memberIdOf(publicKey) === sender && isSignedBy(publicKey, context, said, signature);
}
