/** W3C Trace Context, `traceparent` (https://www.w3.org/TR/trace-context/#traceparent-header). */
const traceparentForm =
  /^(?:00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}|(?!00|ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?)$/;

export function isTraceparent(text: string): boolean {
  return traceparentForm.test(text);
}

/** A new, unsampled trace. @param hex gives that many lower-case hexadecimal digits, random. */
export function newTraceparent(hex: (digits: number) => string): string {
  return `00-${hex(32)}-${hex(16)}-00`;
}

/** The 32 digits that all spans of a trace share. */
export function traceIdOf(traceparent: string): string {
  return traceparent.slice(3, 35);
}
