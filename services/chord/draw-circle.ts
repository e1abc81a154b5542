import { bits, type Identifier } from './identifier.ts';

export interface DrawnNode {
  readonly id: Identifier;
  /** Stands beside it; at most 13 characters, or it is cut. */
  readonly label: string;
  readonly isSelf: boolean;
}

const columns = 80;
const rows = 23;
const labelColumns = 13;
/** Columns between a node and its label. */
const maxGap = 16;
/** Twice as wide as it is high: so is a circle of characters round. */
const radius = { x: 24, y: 11 };

/** The circle with its nodes where their places are: 0 on top, clockwise. 23 lines of 80 columns at most. */
export function drawCircle(nodes: readonly DrawnNode[]): string {
  const lines = Array.from({ length: rows }, () => new Array<string>(columns).fill(' '));
  const put = (x: number, y: number, sign: string): void => {
    const line = lines[y];
    if (line !== undefined && x >= 0 && x < columns) line[x] = sign;
  };
  const at = (turn: number): { x: number; y: number } => ({
    x: Math.round(columns / 2 + radius.x * Math.sin(2 * Math.PI * turn)),
    y: Math.round((rows - 1) / 2 - radius.y * Math.cos(2 * Math.PI * turn)),
  });
  for (let step = 0; step < 720; step++) {
    const { x, y } = at(step / 720);
    put(x, y, '·');
  }
  // Our own last: it is seen whoever else is in that cell.
  const inOrder = [...nodes].sort((one, other) => Number(one.isSelf) - Number(other.isSelf));
  for (const { id, isSelf } of inOrder) {
    const { x, y } = at(turnOf(id));
    put(x, y, isSelf ? '◉' : '●');
  }
  for (const { id, label, isSelf } of inOrder.reverse()) {
    const { x, y } = at(turnOf(id));
    const text = isSelf ? `${label} ←`.slice(0, labelColumns + 2) : label.slice(0, labelColumns);
    const isRight = x >= columns / 2;
    const line = lines[y] ?? [];
    // Outwards, past the circle itself where it is flat. Where many are close together not all have room; the list below has them.
    for (let gap = 1; gap <= maxGap; gap++) {
      const from = isRight ? x + 1 + gap : x - gap - text.length;
      if (from < 0 || from + text.length > columns || !isBlank(line, from - 1, text.length + 2)) continue;
      for (const [offset, sign] of [...text].entries()) put(from + offset, y, sign);
      break;
    }
  }
  return lines.map(line => line.join('').trimEnd()).join('\n');
}

function isBlank(line: readonly string[], from: number, length: number): boolean {
  return line.slice(Math.max(0, from), from + length).every(sign => sign === ' ');
}

/** 0 … 1 of the way around. */
function turnOf(id: Identifier): number {
  return Number(id >> BigInt(bits - 53)) / 2 ** 53;
}
