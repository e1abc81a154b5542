import { brokerUrl } from '../support/broker.ts';
import type { Difference } from './differences.ts';
import { greet } from './wire/handshake.ts';
import type { Table } from './wire/table.ts';

export type BrokerName = '3.10' | '4.0' | 'embedded';

/** Which of the three the tests run against, as it says itself before any login. RabbitMQ between counts as the older. */
export async function whichBroker(url = brokerUrl()): Promise<BrokerName> {
  const { peer, start } = await greet(url);
  peer.cut();
  const { product, version } = start.serverProperties as Table;
  if (product !== 'RabbitMQ') return 'embedded';
  return Number(String(version).split('.')[0]) >= 4 ? '4.0' : '3.10';
}

/** What the broker under test is known to do where brokers differ. */
export async function asKnown<T>(difference: Difference<T>): Promise<T> {
  return difference[await whichBroker()];
}
