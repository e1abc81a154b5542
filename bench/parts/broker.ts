import { join } from 'node:path';
import { connect } from 'amqplib';
import { startRabbitNode } from '../../services/up/rabbitmq-node.ts';

/** The broker that a run uses. */
export interface BenchBroker {
  readonly url: string;
  /** Of its management API, with the account: when that was asked for. */
  readonly httpUrl?: string | undefined;
  /** "RabbitMQ 3.10.8". */
  readonly describe: string;
  /** Whose CPU counts as the broker's; none known for one that was given without. */
  readonly pids: readonly number[];
  close(): Promise<void>;
}

export interface GivenBroker {
  readonly url: string | undefined;
  readonly pid: number | undefined;
}

/** The one that is given, or a private RabbitMQ node, on loopback, with its data in a temporary folder. */
export async function openBroker(
  home: string,
  { url, pid }: GivenBroker,
  { management = false } = {},
): Promise<BenchBroker> {
  if (url !== undefined) {
    return { url, describe: await versionOf(url), pids: pid === undefined ? [] : [pid], close: async () => {} };
  }
  const node = await startRabbitNode({ dir: join(home, 'broker'), user: 'bench', password: 'bench', management });
  return {
    url: node.url,
    httpUrl: node.httpUrl,
    describe: `RabbitMQ ${node.version}`,
    pids: node.pid === undefined ? [] : [node.pid],
    close: () => node.close(),
  };
}

/** What the broker says of itself when one connects. */
async function versionOf(url: string): Promise<string> {
  const model = await connect(url);
  const { product, version } = model.connection.serverProperties;
  await model.close();
  return `${product} ${version}`;
}
