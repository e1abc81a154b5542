import type { ErrorRequestHandler, RequestParamHandler } from 'express';
import type { z } from 'zod';
import { Failure, messageOf } from '../../lib/failure.ts';
import { AmqpError } from '../amqp/error.ts';

/** What a client is told: a status, and RabbitMQ's pair of a word and one line. */
export class HttpProblem extends Error {
  readonly status: number;
  readonly word: string;

  constructor(status: number, word: string, reason: string) {
    super(reason);
    this.status = status;
    this.word = word;
  }
}

export function notFound(what: string): HttpProblem {
  return new HttpProblem(404, 'not_found', `no ${what}`);
}

/** There is one virtual host. */
export const checkVhost: RequestParamHandler = (_request, _response, next, vhost) => {
  next(vhost === '/' ? undefined : notFound('such virtual host: the only one is / (%2F in a path)'));
};

/** The body, checked. @throws HttpProblem 400 with the first thing that is wrong */
export function bodyAs<T>(schema: z.ZodType<T>, body: unknown): T {
  const { success, data, error } = schema.safeParse(body);
  if (success) return data;
  const [issue] = error.issues;
  const where = issue && issue.path.length > 0 ? `${issue.path.join('.')}: ` : '';
  throw new HttpProblem(400, 'bad_request', `${where}${messageOf(issue?.message)}`);
}

function asProblem(error: unknown): HttpProblem {
  if (error instanceof HttpProblem) return error;
  if (error instanceof Failure && error.code === 'BROKER_ACCOUNT')
    return new HttpProblem(400, 'bad_request', error.message);
  // A queue that is another connection's own, or in use.
  if (error instanceof AmqpError) return new HttpProblem(400, 'bad_request', error.text);
  // Of the body parser: too large, no JSON.
  const { status } = (error ?? {}) as { status?: unknown };
  if (status === 413) return new HttpProblem(413, 'too_large', 'a body of 64 KiB at most');
  if (typeof status === 'number' && status < 500) return new HttpProblem(status, 'bad_request', messageOf(error));
  return new HttpProblem(500, 'internal_error', messageOf(error));
}

/** Four parameters are how express knows it. */
export const tellProblem: ErrorRequestHandler = (error, _request, response, _next) => {
  const { status, word, message } = asProblem(error);
  response.status(status).json({ error: word, reason: message });
};
