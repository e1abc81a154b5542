/** SHA-256 of a member's raw Ed25519 public key (32 bytes), as 64 lower-case hexadecimal digits. */
export type MemberId = string & { readonly isMemberId: true };

export function isMemberId(text: string): text is MemberId {
  return /^[0-9a-f]{64}$/.test(text);
}

/** For people, who compare beginnings: 48 bits. */
export function shortId(id: MemberId): string {
  return id.slice(0, 12);
}

/** The name of a member's broker account, which is also what its own routing keys and queues begin with. */
export function brokerAccountOf(id: MemberId): string {
  return `m.${id}`;
}

/** Whose broker account it is, as the broker checked it (`userId`); undefined: no member's. */
export function memberOfBrokerAccount(account: string): MemberId | undefined {
  const id = account.startsWith('m.') ? account.slice(2) : '';
  return isMemberId(id) ? id : undefined;
}
