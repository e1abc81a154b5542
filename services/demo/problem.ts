import { STATUS_CODES } from 'node:http';

/** An error answer (RFC 9457, `application/problem+json`, type `about:blank`). */
export interface Problem {
  readonly status: number;
  /** The status in words. */
  readonly title: string;
  /** One line for people: what is wrong, and what to do. */
  readonly detail: string;
}

export function createProblem(status: number, detail: string): Problem {
  return { status, title: STATUS_CODES[status] ?? 'Error', detail };
}

/** What body-parser throws carries `type` and `status` (https://expressjs.com/en/resources/middleware/body-parser.html#errors). */
function hint(thrown: unknown, name: 'type' | 'status'): unknown {
  return thrown instanceof Error ? Reflect.get(thrown, name) : undefined;
}

/** The problem behind anything thrown while a request was read. What is ours (500) says nothing of the inside. */
export function problemOf(thrown: unknown, limitBytes: number): Problem {
  const status = hint(thrown, 'status');
  if (status === 413) return createProblem(413, `The body is over ${limitBytes / 1024} KiB.`);
  if (status === 415)
    return createProblem(415, 'The body must be UTF-8, plain or compressed with gzip, deflate or br.');
  if (typeof status !== 'number' || status < 400 || status > 499) {
    return createProblem(500, 'Something went wrong in this replica.');
  }
  if (hint(thrown, 'type') === 'entity.parse.failed') return createProblem(400, 'The body is not valid JSON.');
  return createProblem(status, 'The request could not be read.');
}
