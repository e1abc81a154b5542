import { isUnreached, type Unreached } from './ask.ts';
import type { BrokerStatus } from './broker-status.ts';
import type { ProxyStatus } from './proxy-status.ts';

export interface Status {
  readonly broker: BrokerStatus | Unreached;
  readonly proxy: ProxyStatus | Unreached;
}

/** For people. */
export function formatStatus({ broker, proxy }: Status): string {
  const lines = [...(isUnreached(broker) ? [broker.problem] : brokerLines(broker))];
  lines.push('', ...(isUnreached(proxy) ? [proxy.problem] : proxyLines(proxy)));
  return `${lines.join('\n')}\n`;
}

function brokerLines({ product, version, at, connections, alarm, queues }: BrokerStatus): string[] {
  const blocked = alarm === undefined ? '' : `, publishers are blocked: ${alarm}`;
  const head = `broker   ${product} ${version}, ${at}, ${counted(connections, 'connection')}${blocked}`;
  if (queues.length === 0) return [head, '         no queues'];
  const rows = [...queues]
    .sort((a, b) => b.ready + b.unacked - a.ready - a.unacked || a.name.localeCompare(b.name))
    .map(queue => [
      queue.name,
      queue.type,
      ...[queue.ready, queue.unacked, queue.consumers].map(String),
      ...[queue.inRate, queue.outRate].map(rate => rate.toFixed(1)),
    ]);
  return [head, '', ...table([['queue', 'type', 'ready', 'unacked', 'consumers', 'in/s', 'out/s'], ...rows], 2)];
}

function proxyLines({ at, broker, services, pendingJobs, requests }: ProxyStatus): string[] {
  const state = broker.state === 'up' ? 'connected' : `${broker.state}${broker.reason ? `: ${broker.reason}` : ''}`;
  const answered = `${counted(requests.total, 'request')} (${requests.hits} from the cache, ${counted(requests.errors, 'error')})`;
  return [
    `proxy    ${at}, broker ${state}, ${answered}, ${counted(pendingJobs, 'job')} pending`,
    ...services.map(({ service, liveWorkers }) => `service  ${service}, ${counted(liveWorkers, 'live worker')}`),
  ];
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** Columns side by side, the first ones to the left, those with numbers to the right. */
function table(rows: readonly (readonly string[])[], left: number): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)));
  return rows.map(row =>
    row
      .map((cell, column) => (column < left ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}
