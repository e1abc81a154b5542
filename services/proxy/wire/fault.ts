/** What is wrong with what a client sent, as a status and one line for it. The connection ends with it. */
export interface Fault {
  readonly status: 400 | 405 | 414 | 431 | 501 | 505;
  readonly reason: string;
}

export function malformed(reason: string): Fault {
  return { status: 400, reason };
}
