/**
 * A post's message id is a UUID version 7 (RFC 9562 section 5.7): the sender's time of day and random bits. So the
 * time travels with the post, and a repeat of it carries the same time, without a field of its own.
 */
const form = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/**
 * @param nowMs milliseconds since 1970
 * @param hex gives that many lower-case hexadecimal digits, random
 */
export function createPostId(nowMs: number, hex: (digits: number) => string): string {
  const time = Math.floor(nowMs).toString(16).padStart(12, '0').slice(-12);
  const random = hex(20); // 19 are used
  // The two bits 10 on top of rand_b say the variant (section 4.1).
  const variant = ((Number.parseInt(random.slice(3, 4), 16) & 3) | 8).toString(16);
  const tail = random.slice(4, 19);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-${variant}${tail.slice(0, 3)}-${tail.slice(3)}`;
}

/** Milliseconds since 1970 by the sender's clock; undefined when the id is of another kind. */
export function timeOfPostId(id: string): number | undefined {
  const match = form.exec(id);
  return match ? Number.parseInt(`${match[1]}${match[2]}`, 16) : undefined;
}
