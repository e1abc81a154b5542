import { shortId } from '../../lib/identity/member-id.ts';
import { isUnreached, type Unreached } from './ask.ts';
import type { BrokerStatus } from './broker-status.ts';
import type { DirectoryStatus } from './directory-status.ts';
import type { SeenMember } from './members.ts';
import type { OwnMember, Reached } from './own-member.ts';
import type { ProxyStatus } from './proxy-status.ts';
import type { Status } from './system-status.ts';

/** For people, on a terminal of 80 columns. @param now milliseconds since 1970 */
export function formatStatus({ broker, proxy, directory, members, member }: Status, now: number): string {
  const blocks = [
    member === undefined ? [] : isUnreached(member) ? [member.problem] : ownLines(member),
    broker === undefined ? [] : isUnreached(broker) ? [broker.problem] : brokerLines(broker),
    [
      ...(proxy === undefined ? [] : isUnreached(proxy) ? [proxy.problem] : proxyLines(proxy)),
      ...(directory === undefined ? [] : 'accounts' in directory ? directoryLines(directory) : [directory.problem]),
    ],
    members === undefined ? [] : isUnreached(members) ? [`members    ${members.problem}`] : memberLines(members, now),
  ];
  return `${blocks
    .filter(lines => lines.length > 0)
    .map(lines => lines.join('\n'))
    .join('\n\n')}\n`;
}

function line(what: string, text: string): string {
  return `${what.padEnd(9)}  ${text}`;
}

function brokerLines({ product, version, at, connections, alarm, queues }: BrokerStatus): string[] {
  const blocked = alarm === undefined ? '' : `, publishers are blocked: ${alarm}`;
  const head = line('broker', `${product} ${version}, ${at}, ${counted(connections, 'connection')}${blocked}`);
  if (queues.length === 0) return [head, line('', 'no queues')];
  const rows = [...queues]
    .sort((a, b) => b.ready + b.unacked - a.ready - a.unacked || a.name.localeCompare(b.name))
    .map(queue => [
      cut(queue.name, 31),
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
    line('proxy', `${at}, broker ${state}`),
    line('', `${answered}, ${counted(pendingJobs, 'job')} pending`),
    ...services.map(({ service, liveWorkers }) =>
      line('service', `${service}, ${counted(liveWorkers, 'live worker')}`),
    ),
  ];
}

function directoryLines({ at, problem, latencyMs, accounts, sessions }: DirectoryStatus): string[] {
  const has = `${counted(accounts, 'account')}, ${counted(sessions, 'session')}`;
  if (at === undefined) return [problem ?? 'the directory is not up', line('directory', has)];
  return [line('directory', `${at}${took(latencyMs)}, ${has}`)];
}

function ownLines({
  id,
  user,
  services,
  certificateEnds,
  revoked,
  broker,
  directory,
  daemon,
  proxies,
}: OwnMember): string[] {
  const may = services.length === 0 ? '' : `, may serve ${services.join(', ')}`;
  const head = line(
    'this one',
    `${shortId(id)}, one of ${user}${may}; certificate until ${certificateEnds.slice(0, 10)}`,
  );
  const reached = (what: string, part: Reached | Unreached): string =>
    isUnreached(part) ? line(what, part.problem) : line(what, `${part.at}${took(part.latencyMs)}`);
  const lines = [
    head,
    ...(revoked === undefined ? [] : [`this machine was revoked on ${minute(revoked)}: it is no member any more`]),
    reached('broker', broker),
    isUnreached(directory)
      ? line('directory', directory.problem)
      : line('directory', `answers over the broker${took(directory.latencyMs)}`),
  ];
  if (isUnreached(daemon)) return [...lines, line('daemon', daemon.problem)];
  const { name, pid, uptimeMs, grpcAddress, advertised, connectedMembers, parts } = daemon;
  return [
    ...lines,
    line(
      'daemon',
      `${name}, process ${pid}, for ${lasting(uptimeMs)}, ${counted(connectedMembers, 'member')} connected`,
    ),
    line(
      '',
      `serves members on ${grpcAddress}, known as ${advertised.join(', ') || 'nothing: through the broker only'}`,
    ),
    ...parts.flatMap(part => part.lines.map((text, at) => line(at === 0 ? part.name : '', text))),
    ...(proxies ?? []).map(({ proxy, requestsPerSecond, p99Ms, services: served }) => {
      const of = served.map(
        each => `${each.service}: ${each.queued ?? '?'} queued, ${counted(each.liveWorkers, 'worker')}`,
      );
      return line(
        'proxy',
        [`${cut(proxy, 12)}, ${requestsPerSecond.toFixed(1)}/s, p99 ${milliseconds(p99Ms)}`, ...of].join('; '),
      );
    }),
  ];
}

function memberLines(members: readonly SeenMember[], now: number): string[] {
  if (members.length === 0) return ['no members'];
  const rows = members.map(member => {
    const { id, user, isSelf, contact } = member;
    const way = contact?.way ?? '-';
    return [
      shortId(id),
      cut(user, 12),
      cut(contact?.name ?? '-', 12),
      state(member, now),
      contact === undefined ? '-' : milliseconds(contact.latencyMs),
      isSelf ? 'this one' : way,
    ];
  });
  const [head = '', ...rest] = table([['member', 'user', 'name', 'state', 'latency', 'way'], ...rows], 6);
  return [
    head,
    ...rest.flatMap((text, at) => {
      const { services = [], addresses = [], problem } = members[at] ?? {};
      const more = [
        ...(services.length === 0 ? [] : [`may serve ${services.join(', ')}`]),
        ...(addresses.length === 0 ? [] : [`at ${addresses.join(', ')}`]),
        ...(problem === undefined ? [] : [problem]),
      ];
      return [text, ...(more.length === 0 ? [] : [`              ${more.join('; ')}`])];
    }),
  ];
}

function state({ isActive, activeSince, lastSeen }: SeenMember, now: number): string {
  if (isActive) return `active for ${lasting(now - Date.parse(activeSince ?? ''))}`;
  return lastSeen === undefined ? 'never seen' : `seen ${minute(lastSeen)}`;
}

/** UTC, to the minute. */
function minute(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 16)}Z`;
}

/** In the largest unit that there are two of. */
function lasting(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  const units = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'min'],
  ] as const;
  for (const [unit, name] of units) if (seconds >= 2 * unit) return `${Math.floor(seconds / unit)} ${name}`;
  return `${seconds} s`;
}

function milliseconds(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

function took(ms: number | undefined): string {
  return ms === undefined ? '' : ` in ${milliseconds(ms)}`;
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
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
