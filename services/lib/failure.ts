/**
 * An error whose `code` is stable: tests and callers match the code, people read the message (one line: what is wrong,
 * where, what to do).
 */
export class Failure extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'Failure';
    this.code = code;
  }
}

/** The message of anything thrown, on one line. */
export function messageOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message || thrown.name : String(thrown);
  return text.replaceAll(/\s*\n\s*/g, ' ');
}
