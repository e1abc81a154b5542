import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Post } from '../../proto/gen/warren/demo/v1/post.ts';
import type { Bus, Consumer, Delivery } from '../bus/bus.ts';
import { demoPosts } from '../bus/queues.ts';
import { Failure } from '../lib/failure.ts';
import { randomHex } from '../lib/random.ts';
import { createApp } from './app.ts';
import { type Message, MessageList } from './message-list.ts';
import { loadPage } from './page.ts';
import { type Draft, parseDraft } from './post.ts';
import { createPostId, timeOfPostId } from './post-id.ts';
import { createProblem, type Problem } from './problem.ts';

export interface DemoNeeds {
  /** Of role `demo`. Stays the caller's to close, after the replica. */
  readonly bus: Bus;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Random lower-case hexadecimal digits, that many. */
  readonly hex?: (digits: number) => string;
}

export interface DemoOptions {
  /** `backend-1`… : shown to visitors. */
  readonly name: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** How long a visitor waits for the broker to have a post, in milliseconds. */
  readonly confirmMs?: number;
}

/** A running replica. */
export interface Demo {
  readonly url: string;
  readonly port: number;
  readonly name: string;
  /** Answers what is being asked, then stops listening and consuming. */
  close(): Promise<void>;
}

/** How long an open request may hold `close` up, in milliseconds. */
const drainMs = 1000;

function messageFrom(id: string, post: Post): Message {
  const time = timeOfPostId(id);
  const at = time === undefined ? null : new Date(time).toISOString();
  return { id, author: post.author, text: post.text, replica: post.replica, at };
}

/** Undefined for what this form would not have sent: the stream may be written to by others, and one bad entry must not show. */
function decodeMessage({ messageId, type, body }: Delivery): Message | undefined {
  if (type !== 'warren.demo.v1.Post') return undefined;
  try {
    const post = Post.decode(body);
    return parseDraft({ author: post.author, text: post.text }).ok ? messageFrom(messageId, post) : undefined;
  } catch {
    return undefined;
  }
}

async function listen(server: Server, host: string, port: number, name: string): Promise<number> {
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (cause) {
    const code = cause instanceof Error ? Reflect.get(cause, 'code') : undefined;
    if (code === 'EADDRINUSE') {
      throw new Failure('PORT_TAKEN', `${name}: port ${port} is taken; stop what uses it or choose another`, { cause });
    }
    throw new Failure('PORT_REFUSED', `${name}: cannot listen on ${host}:${port} (${code ?? 'unknown error'})`, {
      cause,
    });
  }
  return (server.address() as AddressInfo).port;
}

/**
 * Starts one replica of the sample form. It serves at once, also while there is no broker: the page then says so.
 * @throws Failure PORT_TAKEN, PORT_REFUSED
 */
export async function startDemo(
  { bus, now, hex = randomHex }: DemoNeeds,
  { name, host, port, confirmMs = 3000 }: DemoOptions,
): Promise<Demo> {
  const list = new MessageList();
  const closing = new AbortController();
  let heard = bus.state === 'up' || bus.state === 'blocked';
  const forget = bus.onState(state => {
    heard ||= state === 'up';
  });

  async function post(draft: Draft): Promise<Message | Problem> {
    const value = Post.create({ ...draft, replica: name });
    const id = createPostId(now(), hex);
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(confirmMs)]);
    try {
      await bus.ready(signal);
    } catch {
      return createProblem(
        503,
        'The message was not sent: the message broker cannot be reached. Try again in a moment.',
      );
    }
    try {
      await bus.publish(
        { type: 'warren.demo.v1.Post', key: '', messageId: id, body: Post.encode(value).finish() },
        signal,
      );
    } catch {
      // It may be on its way, or even be there with its confirm lost. Only the list can tell.
      return createProblem(503, 'The message broker did not confirm the message. It may still appear in the list.');
    }
    return messageFrom(id, value);
  }

  const messages = () => (heard ? list.newestFirst() : undefined);
  const app = createApp({ page: loadPage(), name, brokerState: () => bus.state, messages, post });
  const server = createServer(app);
  // Kept-alive connections that fall idle after `close` would hold it up until they are cut.
  server.on('request', (_request, response) => {
    response.once('close', () => closing.signal.aborted && setImmediate(() => server.closeIdleConnections()));
  });
  let boundPort: number;
  try {
    boundPort = await listen(server, host, port, name);
  } catch (thrown) {
    forget();
    throw thrown;
  }

  let consumer: Consumer | undefined;
  const consuming = bus.consume(
    demoPosts.queue,
    delivery => {
      const message = decodeMessage(delivery);
      if (message) list.add(message);
      return 'ack';
    },
    { prefetch: 100, offset: 'first' },
  );
  // Not awaited: this can take as long as the broker is away. What refuses it for good also ends `bus.ready()`, and the
  // bus's owner hears of it there.
  void consuming.then(
    started => {
      if (closing.signal.aborted) return started.close();
      consumer = started;
    },
    () => {},
  );

  async function close(): Promise<void> {
    if (closing.signal.aborted) return;
    forget();
    closing.abort();
    const closed = once(server, 'close');
    server.close();
    const cut = setTimeout(() => server.closeAllConnections(), drainMs);
    await closed.finally(() => clearTimeout(cut));
    await consumer?.close();
  }

  const urlHost = host.includes(':') ? `[${host}]` : host;
  return { url: `http://${urlHost}:${boundPort}`, port: boundPort, name, close };
}
