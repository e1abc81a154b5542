import { type Limits, PeerServiceDefinition } from '../../../proto/gen/warren/peer/v1/peer.ts';
import { jsonLine } from '../visible.ts';
import type { Asked } from './asked.ts';
import { sizeOf } from './search.ts';
import { formatBytes, formatRate } from './units.ts';

export async function limit({ given, daemon, io }: Asked): Promise<void> {
  const peer = daemon.client(PeerServiceDefinition);
  const [up, down, offers] = ['--up', '--down', '--offers'].map(flag =>
    given.has(flag) ? sizeOf(given.one(flag), flag) : undefined,
  );
  const isSet = up !== undefined || down !== undefined || offers !== undefined;
  const { limits } = isSet
    ? await peer.setLimits({
        ...(up === undefined ? {} : { up: BigInt(up) }),
        ...(down === undefined ? {} : { down: BigInt(down) }),
        ...(offers === undefined ? {} : { offerQuota: BigInt(offers) }),
      })
    : await peer.getLimits({});
  if (limits === undefined) return;
  io.out(given.has('--json') ? jsonLine(limitsView(limits)) : formatLimits(limits));
}

export function limitsView({ up, down, offerQuota, offerUsed }: Limits) {
  return { up, down, offerQuota, offerUsed };
}

function formatLimits({ up, down, offerQuota, offerUsed }: Limits): string {
  const rate = (bytes: number): string => (bytes === 0 ? 'no limit' : formatRate(bytes));
  const offers = offerQuota === 0 ? 'refused' : `${formatBytes(offerUsed)} taken of ${formatBytes(offerQuota)}`;
  return `up      ${rate(up)}\ndown    ${rate(down)}\noffers  ${offers}\n`;
}
