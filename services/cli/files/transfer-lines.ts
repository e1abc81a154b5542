import { column, cutEnd, cutMiddle, visible, widthOf } from '../visible.ts';
import { formatBar, type Glyphs } from './bar.ts';
import type { SourceView, TransferView } from './transfer-view.ts';
import { formatBytes, formatRate, formatShare, formatTime } from './units.ts';

/** Sources that get a line each. */
const mostSources = 8;
const widestBar = 40;
const narrowestBar = 10;

/** A transfer on a terminal: a line with a bar, and one for each source; none wider than `columns`. */
export function transferLines(transfer: TransferView, columns: number, glyphs: Glyphs): string[] {
  const { path, fileId, sources } = transfer;
  const name = visible(lastName(path) || fileId.slice(0, 12));
  const shown = sources.slice(0, mostSources).map(source => ({ source, who: `  ${whoIs(source)}` }));
  const longest = Math.max(8, ...[name, ...shown.map(({ who }) => who)].map(widthOf));
  const nameColumns = Math.min(longest, Math.max(8, Math.min(32, Math.floor(columns / 3))));
  const more = sources.length - shown.length;
  return [
    `${column(name, nameColumns)}  ${progress(transfer, columns - nameColumns - 2, glyphs)}`,
    ...shown.map(({ source, who }) => `${column(who, nameColumns)}  ${sourceLine(source)}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ].map(line => cutEnd(line.trimEnd(), columns));
}

function whoIs({ name, memberId }: SourceView): string {
  return `${visible(name) || 'member'} ${memberId.slice(0, 6)}`;
}

function progress(transfer: TransferView, columns: number, glyphs: Glyphs): string {
  const { state, length, verified, rate, leftMs } = transfer;
  if (state === 'locating') return length > 0 ? `${figures(transfer)}  ${wordsOf(transfer)}` : wordsOf(transfer);
  if (state === 'held' || state === 'failed' || state === 'cancelled')
    return `${formatShare(verified, length).padStart(5)}  ${wordsOf(transfer)}`;
  const percent = formatShare(verified, length).padStart(5);
  const left = state === 'moving' && leftMs !== undefined ? [`${formatTime(leftMs)} left`] : [];
  const now = state === 'moving' ? [formatRate(rate).padStart(10)] : state === 'paused' ? [state] : [];
  // What there is no room for beside a bar is left out, the least important first.
  const arrangements = [
    [percent, figures(transfer), ...now, ...left],
    [percent, ...now, ...left],
    [percent, ...now],
    [percent],
  ];
  for (const parts of arrangements) {
    const behind = parts.join('  ');
    const bar = Math.min(widestBar, columns - widthOf(behind) - 2);
    if (bar >= narrowestBar) return `${formatBar(length === 0 ? 1 : verified / length, bar, glyphs)}  ${behind}`;
  }
  return percent;
}

function figures({ verified, length }: TransferView): string {
  return `${formatBytes(verified)} of ${formatBytes(length)}`;
}

function sourceLine(source: SourceView): string {
  const { state, way, bytes } = source;
  const how = state === 'connecting' ? 'connecting' : way;
  return `${how.padEnd(10)}  ${formatBytes(bytes).padStart(10)}  ${nowOf(source)}`;
}

function nowOf({ state, rate, detail }: SourceView): string {
  const why = visible(detail);
  if (state === 'moving') return formatRate(rate).padStart(10);
  if (state === 'banned') return `out: ${why || 'it sent wrong bytes'}`;
  return state === 'connecting' ? why : [state, why].filter(Boolean).join(': ');
}

/** The same where lines cannot be drawn again. */
export function transferLine(transfer: TransferView): string {
  const { path, fileId, state, rate, leftMs, sources } = transfer;
  const at = transfer.length > 0 ? `${formatShare(transfer.verified, transfer.length)}, ${figures(transfer)}` : '';
  const moving = sources.filter(each => each.state === 'moving');
  const relayed = moving.filter(({ way }) => way === 'relayed').length;
  const from = `${transfer.direction === 'up' ? 'to' : 'from'} ${moving.length}${relayed > 0 ? ` (${relayed} relayed)` : ''}`;
  const words = [
    at,
    ...(state === 'moving'
      ? [formatRate(rate), leftMs === undefined ? '' : `${formatTime(leftMs)} left`, moving.length > 0 ? from : '']
      : [wordsOf(transfer)]),
  ];
  return `${visible(path || fileId)}: ${words.filter(Boolean).join(', ')}`;
}

/** What is the matter, in words. */
export function wordsOf({ state, detail, reason, direction, sources }: TransferView): string {
  const why = visible(detail || reason);
  switch (state) {
    case 'locating':
      return direction === 'up'
        ? 'looking for a member that takes it'
        : sources.length > 0
          ? 'waiting for a member that has it'
          : 'looking for members that have it';
    case 'held':
      return `waiting: ${why || 'something of this machine is in the way'}`;
    case 'failed':
      return `failed: ${why || 'no reason was given'}`;
    default:
      return why === '' || state === 'moving' ? state : `${state}: ${why}`;
  }
}

/** How it went, once it is done. @param tookMs since we asked */
export function doneLine(transfer: TransferView, tookMs: number): string {
  const { path, length, sources, direction } = transfer;
  const moved = sources.filter(({ bytes }) => bytes > 0);
  if (moved.length === 0)
    return `${visible(path)}: ${direction === 'up' ? 'it is there already' : 'it is here already'}`;
  const all = moved.reduce((sum, { bytes }) => sum + bytes, 0);
  const shares = moved
    .toSorted((one, other) => other.bytes - one.bytes)
    .slice(0, mostSources)
    .map(
      ({ name, memberId, bytes, way }) =>
        `${cutMiddle(visible(name) || memberId.slice(0, 12), 40)} ${moved.length > 1 ? `${formatShare(bytes, all)} ` : ''}${way === 'direct' ? 'directly' : 'relayed'}`,
    );
  const rate = tookMs > 0 ? `, ${formatRate((length * 1_000) / tookMs)}` : '';
  return `${visible(path)}: ${formatBytes(length)} in ${formatTime(tookMs)}${rate}, ${direction === 'up' ? 'to' : 'from'} ${shares.join(', ')}`;
}

export function lastName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
