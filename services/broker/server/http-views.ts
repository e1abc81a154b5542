import { hashingAlgorithm } from '../../bus/accounts/password-hash.ts';
import type { Broker, Queue } from '../core/broker.ts';
import type { Exchange } from '../core/exchange.ts';
import { MessageQueue } from '../core/queue.ts';
import type { StoredAccount } from './accounts.ts';
import type { Connection } from './connection.ts';
import { type Counts, countsOf, type Rates } from './http-rates.ts';
import type { BrokerServer } from './server.ts';

/** What RabbitMQ's management API calls it all (`/api/index.html` of the plugin), as far as we know the figures. */

const vhost = '/';
const node = 'warren';

function statistics(counts: Counts, rates: Counts): object {
  const { published: publish, delivered: deliver, acked: ack } = counts;
  return {
    publish,
    publish_details: { rate: rates.published },
    deliver,
    deliver_details: { rate: rates.delivered },
    deliver_get: deliver,
    deliver_get_details: { rate: rates.delivered },
    ack,
    ack_details: { rate: rates.acked },
  };
}

export function queueView(queue: Queue, rates: Rates): object {
  const { name, settings } = queue;
  const own = queue instanceof MessageQueue ? queue : undefined;
  const unacked = own?.unackedCount ?? 0;
  const ready = own ? own.messageCount : queue.messageCount;
  return {
    name,
    vhost,
    node,
    type: settings.type,
    state: 'running',
    durable: settings.durable,
    auto_delete: settings.autoDelete,
    exclusive: settings.exclusive,
    arguments: settings.arguments,
    consumers: queue.consumerCount,
    messages: ready + unacked,
    messages_ready: ready,
    messages_unacknowledged: unacked,
    message_bytes: own ? own.readyBytes + own.unackedBytes : (queue as Exclude<Queue, MessageQueue>).bytes,
    message_stats: statistics(countsOf(queue), rates.of(name)),
  };
}

export function exchangeView({ settings }: Exchange<Queue>): object {
  const { name, type, durable, autoDelete, internal } = settings;
  return { name, vhost, type, durable, auto_delete: autoDelete, internal };
}

/** As RabbitMQ names connections: from where to where. */
export function connectionName(connection: Connection, local: string): string {
  return `${connection.remote} -> ${local}`;
}

export function connectionView(connection: Connection, local: string): object {
  return {
    name: connectionName(connection, local),
    user_provided_name: connection.name,
    node,
    vhost,
    user: connection.user,
    protocol: 'AMQP 0-9-1',
    state: connection.isBlocked ? 'blocked' : connection.isRunning ? 'running' : 'opening',
    channels: connection.channelCount,
    connected_at: connection.openedAt,
    recv_oct: connection.received,
    frame_max: connection.frameMax,
  };
}

export interface Sums {
  readonly ready: number;
  readonly unacked: number;
  readonly consumers: number;
  readonly queues: number;
}

export function sumsOf(broker: Broker): Sums {
  const sums = { ready: 0, unacked: 0, consumers: 0, queues: 0 };
  for (const queue of broker.queues()) {
    sums.queues++;
    sums.ready += queue.messageCount;
    sums.unacked += queue instanceof MessageQueue ? queue.unackedCount : 0;
    sums.consumers += queue.consumerCount;
  }
  return sums;
}

export function overview(server: BrokerServer, rates: Rates): object {
  const { broker, ledger, version } = server;
  const sums = sumsOf(broker);
  const connections = [...server.connections()];
  return {
    product_name: 'Warren',
    product_version: version,
    management_version: version,
    cluster_name: node,
    node,
    object_totals: {
      connections: connections.length,
      channels: connections.reduce((count, { channelCount }) => count + channelCount, 0),
      queues: sums.queues,
      exchanges: [...broker.exchanges()].length,
      consumers: sums.consumers,
    },
    queue_totals: {
      messages: sums.ready + sums.unacked,
      messages_ready: sums.ready,
      messages_unacknowledged: sums.unacked,
    },
    message_stats: {
      ...statistics(broker.totals, rates.of()),
      confirm: broker.confirmed,
      confirm_details: { rate: rates.confirmed },
    },
    // Beyond what RabbitMQ says here.
    alarm: server.alarm ?? null,
    held_bytes: broker.heldBytes,
    log: ledger.stats,
  };
}

export function userView({ name, tags, passwordHash, limits = {} }: StoredAccount): object {
  const { connections, channels } = limits;
  return {
    name,
    tags,
    // As it was given. Of passwords that people chose, and only of those, a hash helps to guess them: they are not shown.
    ...(passwordHash === undefined ? {} : { password_hash: passwordHash, hashing_algorithm: hashingAlgorithm }),
    limits: {
      ...(connections === undefined ? {} : { 'max-connections': connections }),
      ...(channels === undefined ? {} : { 'max-channels': channels }),
    },
  };
}

export function permissionViews({ name, permission }: StoredAccount): object[] {
  return permission ? [{ user: name, vhost, ...permission }] : [];
}

export function topicViews({ name, topics }: StoredAccount, exchange?: string): object[] {
  return topics
    .filter(topic => exchange === undefined || topic.exchange === exchange)
    .map(topic => ({ user: name, vhost, ...topic }));
}
