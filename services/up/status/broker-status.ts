import { z } from 'zod';
import type { Config } from '../../config/config.ts';
import { messageOf } from '../../lib/failure.ts';
import { knownBroker } from '../known-broker.ts';
import { askJson, isUnreached, placeOf, type Unreached } from './ask.ts';

export interface QueueStatus {
  readonly name: string;
  readonly type: string;
  readonly ready: number;
  readonly unacked: number;
  readonly consumers: number;
  /** Messages a second. */
  readonly inRate: number;
  readonly outRate: number;
}

export interface BrokerStatus {
  readonly product: string;
  readonly version: string;
  /** Of its HTTP API. */
  readonly at: string;
  readonly connections: number;
  /** Why publishers are blocked, where the broker tells. */
  readonly alarm: string | undefined;
  readonly queues: readonly QueueStatus[];
}

const count = z.number().default(0);
const rate = z.object({ rate: z.number() }).default({ rate: 0 });
const overviewShape = z.object({
  product_name: z.string().default('RabbitMQ'),
  product_version: z.string().optional(),
  rabbitmq_version: z.string().optional(),
  object_totals: z.object({ connections: count }).default({ connections: 0 }),
  alarm: z.string().nullish(),
});
const queuesShape = z.array(
  z.object({
    name: z.string(),
    type: z.string().default('classic'),
    messages_ready: count,
    messages_unacknowledged: count,
    consumers: count,
    message_stats: z.object({ publish_details: rate, deliver_get_details: rate }).optional(),
  }),
);

/** Depth and rates from the broker's HTTP API, the embedded one's or RabbitMQ's management plugin. */
export async function brokerStatus(config: Config, dataDir: string): Promise<BrokerStatus | Unreached> {
  const urls = (await knownBroker(config, dataDir))?.httpUrl ?? [];
  const hint = config.broker.httpUrl === undefined ? '; name it with --broker-http URL' : '';
  let told: BrokerStatus | Unreached = { problem: `no broker is configured, and none runs for ${dataDir}` };
  // Any node of a cluster speaks for all.
  for (const url of urls) {
    told = await askNode(url, hint);
    if (!isUnreached(told)) break;
  }
  return told;
}

async function askNode(url: string, hint: string): Promise<BrokerStatus | Unreached> {
  try {
    const overview = overviewShape.parse(await askJson(`${url}/api/overview`));
    const queues = queuesShape.parse(await askJson(`${url}/api/queues`));
    return {
      product: overview.product_name,
      version: overview.product_version ?? overview.rabbitmq_version ?? 'of unknown version',
      at: placeOf(url),
      connections: overview.object_totals.connections,
      alarm: overview.alarm ?? undefined,
      queues: queues.map(queue => ({
        name: queue.name,
        type: queue.type,
        ready: queue.messages_ready,
        unacked: queue.messages_unacknowledged,
        consumers: queue.consumers,
        inRate: queue.message_stats?.publish_details.rate ?? 0,
        outRate: queue.message_stats?.deliver_get_details.rate ?? 0,
      })),
    };
  } catch (error) {
    const why = error instanceof z.ZodError ? 'what answers is no broker' : messageOf(error);
    return { problem: `the broker's HTTP API at ${placeOf(url)} cannot be reached: ${why}${hint}` };
  }
}
