import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Response } from 'express';
import type { BusState } from '../bus/bus.ts';
import type { Message } from './message-list.ts';
import type { Page } from './page.ts';
import { type Draft, parseDraft } from './post.ts';
import { createProblem, type Problem, problemOf } from './problem.ts';

export interface AppNeeds {
  readonly page: Page;
  /** Which replica this is. */
  readonly name: string;
  readonly brokerState: () => BusState;
  /** Newest first; undefined while this replica has not heard from the broker since it started. */
  readonly messages: () => readonly Message[] | undefined;
  /** Resolves when the post is safe on the broker; a Problem when it cannot be said to be. */
  readonly post: (draft: Draft) => Promise<Message | Problem>;
}

const bodyLimitBytes = 16 * 1024;

function sendProblem(response: Response, problem: Problem): void {
  if (problem.status === 503) response.set('Retry-After', '3');
  response.status(problem.status).type('application/problem+json').send(JSON.stringify(problem));
}

function allowOnly(methods: string): RequestHandler {
  return (request, response) => {
    response.set('Allow', methods);
    sendProblem(response, createProblem(405, `${request.method} is not possible here; ${methods} is.`));
  };
}

/**
 * The HTTP face of one replica.
 *
 * - `GET /` the page, the same on every replica. Without Cache-Control: the route's ttl decides how long a proxy keeps it.
 * - `GET /api/whoami` → `{ name, broker }`
 * - `GET /api/messages` → `Message[]`, newest first
 * - `POST /api/messages` `{ author, text }`, JSON or a form → 201 with the message, or 303 to the page for a form
 * - `GET /healthz` → 200
 *
 * Everything but the page is `no-store`. Errors are `application/problem+json` with one line in `detail`.
 */
export function createApp({ page, name, brokerState, messages, post }: AppNeeds): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);

  app.get('/', (_request, response) => {
    response.set({
      'Content-Security-Policy': page.policy,
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
      ETag: page.etag,
    });
    response.type('html').send(page.html);
  });
  app.all('/', allowOnly('GET, HEAD'));

  app.use((_request, response, next) => {
    response.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' });
    next();
  });
  app.get('/healthz', (_request, response) => void response.type('text').send('ok\n'));
  app.get('/api/whoami', (_request, response) => void response.json({ name, broker: brokerState() }));
  app.all(['/healthz', '/api/whoami'], allowOnly('GET, HEAD'));

  app.get('/api/messages', (_request, response) => {
    const list = messages();
    if (list) response.json(list);
    else sendProblem(response, createProblem(503, `${name} has not reached the message broker yet.`));
  });
  const mustBeKnown: RequestHandler = (request, response, next) => {
    // Without a body there is no type to know: that is an empty message, said below.
    if (request.is(['application/json', 'application/x-www-form-urlencoded']) !== false) return next();
    sendProblem(response, createProblem(415, 'Send application/json or application/x-www-form-urlencoded.'));
  };
  app.post(
    '/api/messages',
    mustBeKnown,
    express.json({ limit: bodyLimitBytes }),
    express.urlencoded({ limit: bodyLimitBytes, extended: false, parameterLimit: 10 }),
    async (request, response) => {
      const parsed = parseDraft(request.body ?? {});
      if (!parsed.ok) return sendProblem(response, createProblem(400, parsed.why));
      const outcome = await post(parsed.draft);
      if ('status' in outcome) return sendProblem(response, outcome);
      // A browser without scripts goes back to the page; Post/Redirect/Get keeps a reload from posting again.
      if (request.is('urlencoded')) response.redirect(303, '/');
      else response.status(201).json(outcome);
    },
  );
  app.all('/api/messages', allowOnly('GET, HEAD, POST'));

  app.use((request, response) => sendProblem(response, createProblem(404, `There is nothing at ${request.path}.`)));
  const onThrown: ErrorRequestHandler = (thrown, _request, response, next) => {
    if (response.headersSent) return next(thrown);
    response.set('Cache-Control', 'no-store');
    sendProblem(response, problemOf(thrown, bodyLimitBytes));
  };
  app.use(onThrown);
  return app;
}
