import { request as httpRequest } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';

export interface Get {
  /** 0: none of the proxies answered. */
  readonly status: number;
  readonly body: string;
  readonly ms: number;
  /** When it ended, on this process's monotonic clock. */
  readonly at: number;
  /** The first proxy did not answer, so the other one was asked. */
  readonly failedOver: boolean;
}

export interface Post {
  readonly text: string;
  /** 201: the broker has it. */
  readonly status: number;
}

/**
 * One GET, as a load balancer or a browser with two addresses sends it: where a proxy closes the connection without a byte of an
 * answer, the next is asked (RFC 9110, 9.2.2: it is idempotent). What has been answered, with whatever status, stands.
 */
export async function get(urls: readonly string[], path: string): Promise<Get> {
  const startedAt = performance.now();
  for (const [place, url] of urls.entries()) {
    const answer = await ask(`${url}${path}`, 'GET');
    const at = performance.now();
    if (answer) return { ...answer, ms: at - startedAt, at, failedOver: place > 0 };
  }
  const at = performance.now();
  return { status: 0, body: '', ms: at - startedAt, at, failedOver: true };
}

/** Undefined when nothing came back. A connection of its own each time, so that none is closed under it for being idle. */
function ask(url: string, method: string, body?: string): Promise<{ status: number; body: string } | undefined> {
  return new Promise(resolve => {
    const headers = body === undefined ? {} : { 'Content-Type': 'application/json' };
    const request = httpRequest(url, { method, headers, agent: false }, response => {
      let text = '';
      response.setEncoding('utf8').on('data', chunk => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
      // Broken off: that is an answer, and a bad one.
      response.on('error', error => resolve({ status: -1, body: String(error) }));
    });
    request.on('error', () => resolve(undefined));
    request.end(body);
  });
}

export async function post(url: string, text: string): Promise<Post> {
  const answer = await ask(`${url}/api/messages`, 'POST', JSON.stringify({ author: 'test', text }));
  return { text, status: answer?.status ?? 0 };
}

export interface Clients {
  readonly gets: Get[];
  readonly posts: Post[];
  stop(): Promise<void>;
}

/**
 * Clients that send one GET after the other, half of them to each proxy first; and one that posts, not more than the form's
 * list can show.
 */
export function startClients(
  urls: readonly string[],
  { count, posts: wanted }: { count: number; posts: number },
): Clients {
  const gets: Get[] = [];
  const posts: Post[] = [];
  let stopped = false;
  const getting = Array.from({ length: count }, async (_, client) => {
    const mine = client % 2 === 0 ? urls : urls.toReversed();
    while (!stopped) {
      gets.push(await get(mine, '/api/whoami'));
      // So that they leave the machine room for what is tested.
      await wait(20);
    }
  });
  const posting = (async () => {
    for (let i = 0; !stopped && i < wanted; i++) {
      posts.push(await post(urls[0] ?? '', `post ${i}`));
      await wait(50);
    }
  })();
  return {
    gets,
    posts,
    stop: async () => {
      stopped = true;
      await Promise.all([...getting, posting]);
    },
  };
}

/** The longest time between the ends of two GETs that were answered well, and the GETs that were not. */
export function disturbance(gets: readonly Get[], since: number): { gapMs: number; failed: Get[] } {
  const later = gets.filter(({ at }) => at >= since).sort((a, b) => a.at - b.at);
  let last = since;
  let gapMs = 0;
  for (const { status, at } of later) {
    if (status !== 200) continue;
    gapMs = Math.max(gapMs, at - last);
    last = at;
  }
  return { gapMs, failed: later.filter(({ status }) => status !== 200) };
}
