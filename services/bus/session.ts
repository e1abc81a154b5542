import { type Channel, type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import { Failure, messageOf } from '../lib/failure.ts';
import type { BoundQueue, QueueSpec, Role } from './topology.ts';

const connectTimeoutMs = 4_000;
/** Two missed beats end a connection, so a dead peer is noticed within 10 to 15 s. */
const heartbeatSeconds = 5;

/** One pair of connections to one broker, from open to lost. It never heals: the bus opens another. */
export interface Session {
  readonly consuming: ChannelModel;
  readonly publishing: ChannelModel;
  /** Publishes nobody waits for. */
  readonly plain: Channel;
  readonly confirmed: ConfirmChannel;
  isOpen(): boolean;
  close(): Promise<void>;
}

export interface SessionListener {
  /**
   * Called once, when either connection or a publishing channel is gone without our doing: BUS_LOST, or BUS_REFUSED when the
   * broker closed the channel of confirmed publishes over one of them.
   */
  lost(reason: Failure): void;
  blocked(reason: string): void;
  unblocked(): void;
}

/** The account in a broker URL. */
export function userOf(url: string): string {
  return decodeURIComponent(new URL(url).username) || 'guest';
}

/** The URL as people may see it: no password, no options. */
export function placeOf(url: string): string {
  const { protocol, hostname, port, pathname } = new URL(url);
  return `${protocol}//${hostname}:${port || (protocol === 'amqps:' ? 5671 : 5672)}${pathname === '/' ? '' : pathname}`;
}

/**
 * Opens both connections and their channels, declares the role's part, and finds what others have declared for it.
 * @throws Failure BUS_LOGIN, BUS_RIGHTS, BUS_TOPOLOGY (trying again will not help), BUS_UNREACHABLE, BUS_MISSING (it may)
 */
export async function openSession(url: string, name: string, role: Role, listener: SessionListener): Promise<Session> {
  const opened: ChannelModel[] = [];
  let state: 'opening' | 'open' | 'ended' = 'opening';
  let cause: unknown;

  const end = (reason: unknown, code = 'BUS_LOST'): void => {
    cause ??= reason;
    if (state === 'ended') return;
    const wasOpen = state === 'open';
    state = 'ended';
    closeAll(opened);
    if (wasOpen) listener.lost(new Failure(code, `lost the broker at ${placeOf(url)}: ${messageOf(cause)}`, { cause }));
  };
  const dial = async (purpose: string): Promise<ChannelModel> => {
    const model = await connect(withHeartbeat(url), {
      noDelay: true,
      keepAlive: true,
      timeout: connectTimeoutMs,
      clientProperties: { connection_name: `${name} (${purpose})` },
    });
    model.on('error', error => end(error));
    model.on('close', error => end(error ?? new Error('connection closed')));
    opened.push(model);
    return model;
  };
  const watch = <C extends Channel>(channel: C, code: string): C => {
    // A publishing channel that the broker closed took other publishes with it: the whole session is begun anew.
    channel.on('error', error => end(error, code));
    channel.on('close', () => end(new Error('channel closed')));
    return channel;
  };

  try {
    // One after the other: when the first is refused, the second would be refused too.
    const consuming = await dial('consume');
    const publishing = await dial('publish');
    publishing.on('blocked', reason => listener.blocked(reason));
    publishing.on('unblocked', () => listener.unblocked());
    await declare(consuming, role);
    const plain = watch(await publishing.createChannel(), 'BUS_LOST');
    const confirmed = watch(await publishing.createConfirmChannel(), 'BUS_REFUSED');
    if (state !== 'opening') throw cause;
    state = 'open';
    return {
      consuming,
      publishing,
      plain,
      confirmed,
      isOpen: () => state === 'open',
      close: async () => {
        state = 'ended';
        await closeAll(opened);
      },
    };
  } catch (error) {
    state = 'ended';
    closeAll(opened);
    throw asFailure(error, url);
  }
}

/**
 * Declares a role's exchanges, queues and bindings on a channel of its own, and looks for those it expects.
 * @throws Failure BUS_MISSING: one of these is not there (yet)
 */
export async function declare(model: ChannelModel, role: Role): Promise<void> {
  const channel = await openChannel(model);
  for (const { name, type } of role.exchanges) await channel.assertExchange(name, type, { durable: true });
  for (const bound of role.queues) await declareQueue(channel, bound);
  for (const { exchanges, queues = [], of } of role.expects ?? []) {
    const find = async (what: string, check: PromiseLike<unknown>): Promise<void> => {
      try {
        await check;
      } catch (error) {
        if (codeOf(error) !== 404) throw error;
        throw new Failure('BUS_MISSING', `waiting for ${of}: the broker has no ${what} yet`, { cause: error });
      }
    };
    for (const { name } of exchanges) await find(`exchange ${name}`, channel.checkExchange(name));
    for (const { queue } of queues) await find(`queue ${queue.name}`, channel.checkQueue(queue.name));
  }
  await channel.close();
}

async function declareQueue(channel: Channel, { queue, bindings }: BoundQueue): Promise<void> {
  await channel.assertQueue(queue.name, queueOptions(queue));
  for (const { exchange, key } of bindings) await channel.bindQueue(queue.name, exchange, key);
}

export function queueOptions(queue: QueueSpec): { exclusive?: true; durable: boolean; arguments?: object } {
  const args = queue.arguments ? { arguments: { ...queue.arguments } } : {};
  return queue.exclusive ? { exclusive: true, durable: false, ...args } : { durable: true, ...args };
}

/** A channel whose errors reach the promises of its calls; without a listener they would end the process. */
export async function openChannel(model: ChannelModel): Promise<Channel> {
  const channel = await model.createChannel();
  channel.on('error', () => {});
  return channel;
}

function withHeartbeat(url: string): string {
  const parsed = new URL(url);
  if (!parsed.searchParams.has('heartbeat')) parsed.searchParams.set('heartbeat', String(heartbeatSeconds));
  return parsed.href;
}

async function closeAll(models: readonly ChannelModel[]): Promise<void> {
  await Promise.all(
    models.map(async model => {
      try {
        await Promise.race([model.close(), new Promise(resolve => setTimeout(resolve, 1_000).unref())]);
      } catch {
        // Closed already.
      }
    }),
  );
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

function asFailure(error: unknown, url: string): Failure {
  if (error instanceof Failure) return error;
  const place = placeOf(url);
  const text = messageOf(error);
  const code = codeOf(error);
  const cause = { cause: error };
  if (/ACCESS_REFUSED.*Login|403 \(ACCESS-REFUSED\).*login|Handshake terminated.*403/i.test(text)) {
    return new Failure(
      'BUS_LOGIN',
      `the broker at ${place} refused user "${userOf(url)}": wrong name or password`,
      cause,
    );
  }
  if (code === 403)
    return new Failure('BUS_RIGHTS', `the broker at ${place} refused user "${userOf(url)}": ${text}`, cause);
  if (code === 406) {
    return new Failure(
      'BUS_TOPOLOGY',
      `the broker at ${place} has it with other settings (delete it, or choose the same queue type): ${text}`,
      cause,
    );
  }
  if (/530|NOT_ALLOWED|NOT-ALLOWED/.test(text))
    return new Failure('BUS_RIGHTS', `the broker at ${place} refused: ${text}`, cause);
  return new Failure('BUS_UNREACHABLE', `cannot reach the broker at ${place}: ${text || String(code)}`, cause);
}
