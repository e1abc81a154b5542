import { MemberServiceDefinition, type StatusResponse } from '../../../proto/gen/warren/member/v1/member.ts';
import { SessionServiceDefinition } from '../../../proto/gen/warren/member/v1/session.ts';
import { PeerServiceDefinition } from '../../../proto/gen/warren/peer/v1/peer.ts';
import { jsonLine, visible } from '../visible.ts';
import type { Asked } from './asked.ts';
import { glyphsFor } from './bar.ts';
import { limitsView } from './limit.ts';
import { transferLine, transferLines } from './transfer-lines.ts';
import { viewOf } from './transfer-view.ts';
import { formatRate } from './units.ts';

export async function status({ given, daemon, io }: Asked): Promise<void> {
  const peer = daemon.client(PeerServiceDefinition);
  const [member, session, { limits }, { transfers }] = await Promise.all([
    daemon.client(MemberServiceDefinition).status({}),
    daemon.client(SessionServiceDefinition).getSession({}),
    peer.getLimits({}),
    peer.listTransfers({ withPast: given.has('--all') }),
  ]);
  const views = transfers.map(viewOf);
  if (given.has('--json')) {
    const { memberId, name, account } = member;
    io.out(
      jsonLine({
        ...{ memberId, name, account, isLoggedIn: session.isLoggedIn },
        ...{ broker: reachView(member.broker), directory: reachView(member.directory) },
        parts: member.parts,
        limits: limits === undefined ? undefined : limitsView(limits),
        transfers: views,
      }),
    );
    return;
  }
  io.out(`${memberLine(member, session.isLoggedIn)}\n`);
  for (const line of member.parts.filter(part => part.name === 'files').flatMap(part => part.lines))
    io.out(`${visible(line)}\n`);
  if (limits !== undefined && (limits.up > 0 || limits.down > 0))
    io.out(`limits: up ${rate(limits.up)}, down ${rate(limits.down)}\n`);
  const columns = io.outColumns?.();
  const glyphs = glyphsFor(io.env);
  io.out(views.length === 0 ? 'no transfers\n' : '\n');
  for (const view of views)
    io.out(
      columns === undefined
        ? `${transferLine(view)}\n`
        : transferLines(view, columns - 1, glyphs)
            .map(line => `${line}\n`)
            .join(''),
    );
}

/** Who and how the member is, in a line. */
export function memberLine(
  { name, memberId, account, broker, directory }: StatusResponse,
  isLoggedIn: boolean,
): string {
  const reach = [
    broker?.up ? 'broker up' : `no broker: ${visible(broker?.reason ?? 'not known')}`,
    !isLoggedIn
      ? 'logged out (warren files login)'
      : directory?.up
        ? 'directory up'
        : `no directory: ${visible(directory?.reason ?? 'not known')}`,
  ];
  return `${visible(name)} (${memberId.slice(0, 12)}, account ${visible(account)}): ${reach.join(', ')}`;
}

export function reachView(reach: StatusResponse['broker']) {
  return reach === undefined
    ? { up: false, reason: 'not known' }
    : { up: reach.up, reason: reach.reason, sinceMs: Number(reach.sinceMs) };
}

function rate(bytes: number): string {
  return bytes === 0 ? 'no limit' : formatRate(bytes);
}
