import { connect } from 'amqplib';

/** The broker that a run uses. */
export interface BenchBroker {
  readonly url: string;
  /** "RabbitMQ 3.10.8". */
  readonly describe: string;
  /** Whose CPU counts as the broker's; none known for one that was given. */
  readonly pids: readonly number[];
  close(): Promise<void>;
}

/** The one that is given, or a private RabbitMQ node in a temporary folder. */
export async function openBroker(
  home: string,
  given: { readonly url?: string | undefined; readonly pid?: number | undefined },
): Promise<BenchBroker> {
  if (given.url !== undefined) {
    const pids = given.pid === undefined ? [] : [given.pid];
    return { url: given.url, describe: await versionOf(given.url), pids, close: async () => {} };
  }
  throw new Error('later');
}

/** What the broker says of itself when one connects. */
async function versionOf(url: string): Promise<string> {
  const model = await connect(url);
  const { product, version } = model.connection.serverProperties;
  await model.close();
  return `${product} ${version}`;
}
