import type { DirectContent } from '../../../proto/gen/warren/chat/v1/direct.ts';

/** Octets of a private message's text (UTF-8), and of all that goes over the bus for it. */
export const maxBodyBytes = 16 * 1024;
export const maxDirectBytes = 64 * 1024;
export const maxReceiptIds = 1_000;
/** Milliseconds that a message is tried, and that it waits in the queue of who is away. */
export const keptMs = 7 * 86_400_000;

/** What the other side may not break. @returns what is wrong, in words */
export function mistakeInContent({ content, replyKey }: DirectContent): string | undefined {
  if (replyKey.length !== 32) return 'its key for answers is none';
  if (content?.$case === 'text') {
    const { id, to, body, atMs } = content.value;
    if (!isDirectId(id)) return 'its id is none';
    if (to === '' || to.length > 64) return 'it is meant for nobody';
    if (!isBody(body)) return 'its text is empty or too long';
    if (!Number.isSafeInteger(atMs)) return 'its time is none';
    return undefined;
  }
  if (content?.$case === 'receipt') {
    const { ids } = content.value;
    if (ids.length === 0 || ids.length > maxReceiptIds || !ids.every(isDirectId))
      return 'its ids are none, or too many';
    return undefined;
  }
  return 'it says nothing';
}

export function isBody(body: string): boolean {
  return body !== '' && Buffer.byteLength(body) <= maxBodyBytes && body.isWellFormed();
}

export function isDirectId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}
