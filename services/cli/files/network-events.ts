import type { WatchSystemResponse } from '../../../proto/gen/warren/member/v1/member.ts';
import { visible } from '../visible.ts';
import { lastName, wordsOf } from './transfer-lines.ts';
import { isOver, type TransferView } from './transfer-view.ts';

/** What has happened to a transfer, a line each. @param before undefined: it was not known */
export function transferEvents(before: TransferView | undefined, now: TransferView): string[] {
  const name = visible(lastName(now.path) || now.fileId.slice(0, 12));
  const events: string[] = [];
  if (before === undefined && !isOver(now))
    events.push(`${name}: ${now.state === 'paused' ? 'paused' : now.direction === 'up' ? 'going out' : 'coming in'}`);
  if (before?.state !== now.state && now.state !== 'moving' && (before !== undefined || isOver(now)))
    events.push(`${name}: ${wordsOf(now)}`);
  if (before !== undefined && before.state !== 'moving' && now.state === 'moving') events.push(`${name}: moving`);
  for (const source of now.sources) {
    const who = visible(source.name) || source.memberId.slice(0, 12);
    const was = before?.sources.find(({ memberId }) => memberId === source.memberId);
    if (source.state === 'banned' && was?.state !== 'banned')
      events.push(`${name}: ${who} is out: ${visible(source.detail) || 'it sent wrong bytes'}`);
    if (was !== undefined && was.way !== source.way)
      events.push(`${name}: ${who} is now reached ${source.way === 'direct' ? 'directly' : 'through the broker'}`);
  }
  return events;
}

/** What has happened around the member. @param before undefined: this is the first that is heard */
export function systemEvents(before: WatchSystemResponse | undefined, now: WatchSystemResponse): string[] {
  if (before === undefined) return [];
  const events: string[] = [];
  for (const part of ['broker', 'directory'] as const) {
    const [was, is] = [before.member?.[part], now.member?.[part]];
    if (was?.up === is?.up && was?.reason === is?.reason) continue;
    if (is !== undefined) events.push(is.up ? `${part} up` : `no ${part}: ${visible(is.reason)}`);
  }
  const [were, are] = [before.member?.connectedMembers ?? 0, now.member?.connectedMembers ?? 0];
  if (were !== are) events.push(`${are} ${are === 1 ? 'member is' : 'members are'} connected directly`);
  const proxies = (response: WatchSystemResponse): Set<string> => new Set(response.proxies.map(({ proxy }) => proxy));
  const [had, has] = [proxies(before), proxies(now)];
  for (const proxy of has.difference(had)) events.push(`proxy ${visible(proxy)} is there`);
  for (const proxy of had.difference(has)) events.push(`proxy ${visible(proxy)} is gone`);
  return events;
}
