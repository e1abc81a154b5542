import type { Format } from './format.ts';

type Units = readonly (readonly [unit: string, factor: number])[];

const sizes: Units = [
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
];

const times: Units = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
];

/** Bytes: `8MiB`, `64 KiB`, `1GiB` or a plain number. Only the binary units: `MB` means two things. */
export function bytes(min: number, max: number): Format<number> {
  return quantity({ units: sizes, min, max, what: 'a size' });
}

/** Milliseconds: `30s`, `500ms`, `2m`, `1h` or a plain number of milliseconds. */
export function duration(min: number, max: number): Format<number> {
  return quantity({ units: times, min, max, what: 'a time' });
}

function quantity(options: { units: Units; min: number; max: number; what: string }): Format<number> {
  const { units, min, max, what } = options;

  /** In the largest unit that divides it. Zero has no unit: it is zero in all of them. */
  function format(value: number): string {
    const unit = units.find(([, factor]) => value > 0 && value % factor === 0);
    return unit === undefined ? String(value) : `${value / unit[1]}${unit[0]}`;
  }

  function parse(text: string): number {
    const match = /^(\d{1,15})\s*([a-z]*)$/i.exec(text);
    const name = match?.[2]?.toLowerCase() ?? '';
    const factor = name === '' ? 1 : units.find(([unit]) => unit.toLowerCase() === name)?.[1];
    const value = match === null || factor === undefined ? Number.NaN : Number(match[1]) * factor;
    if (!(value >= min && value <= max)) {
      const example = units.map(([unit]) => unit).join(', ');
      throw new Error(`must be ${what} from ${format(min)} to ${format(max)} (a whole number, or one with ${example})`);
    }
    return value;
  }

  return { parse, format };
}
