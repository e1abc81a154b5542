import type { LookupResponse, RingNode, ShowResponse } from '../../../proto/gen/warren/chord/v1/chord.ts';
import { drawCircle } from '../../chord/draw-circle.ts';
import { identifier, parseIdentifier } from '../../chord/identifier.ts';

/** In the list below the circle. */
const listed = 40;

/** For people: by the beginning of its member's id; of a virtual node with its number. */
export function nodeName({ memberId, index }: RingNode): string {
  return `${memberId.slice(0, 12)}${index === 0 ? '' : `#${index}`}`;
}

export function formatShow({ view, nodes, isWhole }: ShowResponse): string {
  if (view === undefined || !view.isMember) return 'this node is in no ring (yet)\n';
  const isSelf = ({ place }: RingNode): boolean => place === view.self?.place;
  const circle = drawCircle(
    nodes.map(node => ({
      id: parseIdentifier(node.place) ?? identifier(0n),
      label: nodeName(node),
      isSelf: isSelf(node),
    })),
  );
  const roles = (node: RingNode): string =>
    [
      isSelf(node) ? 'this node' : '',
      node.place === view.predecessor?.place && !isSelf(node) ? 'predecessor' : '',
      node.place === view.successors[0]?.place ? 'successor' : '',
    ]
      .filter(role => role !== '')
      .join(', ');
  const rows = nodes.slice(0, listed).map(node => {
    const where = node.addresses[0] ?? 'over the broker';
    return `  ${isSelf(node) ? '◉' : '●'} ${nodeName(node).padEnd(16)} ${where.padEnd(24)} ${roles(node)}`.trimEnd();
  });
  if (nodes.length > listed) rows.push(`  … and ${nodes.length - listed} more`);
  const safety = view.isSafe ? 'safe' : `not yet safe: ${view.known} of ${view.safeAt} members`;
  const whole = isWhole ? '' : ', as far as could be walked';
  const summary = `${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}${whole}; ${safety}; ${view.records} records held here`;
  return `${circle}\n\n${rows.join('\n')}\n\n${summary}\n`;
}

export function formatLookup({ place, owner, hops, totalMs }: LookupResponse): string {
  const rows = hops.map(({ node, ms, isSilent, way }, at) => {
    const name = node === undefined ? '?' : nodeName(node);
    return `  ${String(at + 1).padStart(2)}  ${name.padEnd(16)} ${isSilent ? 'silent' : way.padEnd(6)} ${ms.toFixed(1).padStart(8)} ms`;
  });
  const answered = hops.filter(({ isSilent }) => !isSilent).length;
  const name = owner === undefined ? '?' : nodeName(owner);
  const way =
    hops.length === 0 ? 'this node itself' : `${answered} ${answered === 1 ? 'hop' : 'hops'}, ${totalMs.toFixed(1)} ms`;
  return `${[`${place} is owned by ${name} (${way})`, ...rows].join('\n')}\n`;
}
