/**
 * The beginning of all keys on `m` (and of all names of queues) that are one broker account's own: only it may bind them, and only
 * who means it publishes to them. A member's account is called `m.<id>`, and its keys begin the same.
 */
export function ownPrefix(account: string): string {
  const safe = account.replaceAll(/[^\w.-]/g, char => `%${char.charCodeAt(0).toString(16)}`);
  return safe.startsWith('m.') ? safe : `m.${safe}`;
}

/** Where the calls of a member, or of any other account, are answered. */
export function rpcKey(account: string): string {
  return `${ownPrefix(account)}.rpc`;
}

/** Where answers to this account's calls go. @param queue named by the server: unguessable, and so is the key */
export function replyKey(account: string, queue: string): string {
  return `${ownPrefix(account)}.reply.${queue}`;
}

export function isReplyKeyOf(account: string, key: string): boolean {
  return key.startsWith(`${ownPrefix(account)}.reply.`);
}

/** Where the proxy reaches a worker, which runs with this account. @param worker its id, of one word */
export function jobKey(account: string, worker: string): string {
  return `${ownPrefix(account)}.job.${worker}`;
}
