import { Counter, Gauge, Registry } from 'prom-client';
import { type Sums, sumsOf } from './http-views.ts';
import type { BrokerServer } from './server.ts';

/** The broker's figures for Prometheus, read when they are scraped. No label: names of queues are unbounded. */
export function brokerMetrics(server: BrokerServer): Registry {
  const registry = new Registry();
  const { broker, ledger } = server;
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name: `warren_broker_${name}`,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  const counter = (name: string, help: string, read: () => number): void => {
    new Counter({
      name: `warren_broker_${name}_total`,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  };
  const sum = (name: string, help: string, what: keyof Sums): void => gauge(name, help, () => sumsOf(broker)[what]);

  gauge('connections', 'Open connections', () => [...server.connections()].length);
  gauge('channels', 'Open channels', () =>
    [...server.connections()].reduce((count, { channelCount }) => count + channelCount, 0),
  );
  sum('queues', 'Queues and streams', 'queues');
  sum('consumers', 'Consumers', 'consumers');
  sum('messages_ready', 'Messages that wait for a consumer', 'ready');
  sum('messages_unacked', 'Messages delivered and not acknowledged', 'unacked');
  counter('published', 'Messages put into queues', () => broker.totals.published);
  counter('delivered', 'Messages delivered', () => broker.totals.delivered);
  counter('acked', 'Messages acknowledged', () => broker.totals.acked);
  counter('confirmed', 'Publishes confirmed', () => broker.confirmed);
  gauge('log_bytes', 'Bytes of the log on disk', () => ledger.stats.bytesOnDisk);
  gauge('log_live_bytes', 'Bytes of the log that are still needed', () => ledger.stats.liveBytes);
  gauge('log_unsynced_bytes', 'Bytes on their way to the disk', () => ledger.stats.unsyncedBytes);
  counter('log_syncs', 'Syncs of the log', () => ledger.stats.syncs);
  gauge('log_last_sync_seconds', 'What the last sync took', () => ledger.stats.lastSyncMs / 1_000);
  gauge('held_bytes', 'Bytes of messages in memory', () => broker.heldBytes);
  gauge('alarm', '1 while publishers are blocked', () => Number(server.alarm !== undefined));
  return registry;
}
