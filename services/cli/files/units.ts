const KiB = 1024;
const units = [
  ['TiB', KiB ** 4],
  ['GiB', KiB ** 3],
  ['MiB', KiB ** 2],
  ['KiB', KiB],
] as const;

/** `0 B`, `312 B`, `1.5 KiB`, `12.3 MiB`, `310 MiB`. */
export function formatBytes(bytes: number): string {
  const [unit, factor] = units.find(([, each]) => bytes >= each * 0.9995) ?? (['B', 1] as const);
  const value = bytes / factor;
  return `${factor === 1 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${unit}`;
}

/** @param rate bytes a second */
export function formatRate(rate: number): string {
  return `${formatBytes(rate)}/s`;
}

/** `0.4 s`, `42 s`, `3 min 05 s`, `2 h 10 min`, `4 d`. */
export function formatTime(ms: number): string {
  if (ms < 9_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const pair = (number: number): string => String(number).padStart(2, '0');
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${pair(seconds % 60)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${pair(minutes % 60)} min`;
  return `${Math.round(minutes / 1_440)} d`;
}

/** Never 100 before all is there, and never 0 once something is. */
export function formatShare(part: number, whole: number): string {
  if (whole <= 0) return '0 %';
  const percent = Math.floor((part / whole) * 100);
  return `${part < whole ? Math.min(99, Math.max(part > 0 ? 1 : 0, percent)) : 100} %`;
}

/**
 * Bytes, or bytes a second: `10M`, `1.5 GiB`, `64k`, `0`, a plain number. Binary units only: `MB` means two things.
 * @returns undefined: it is none
 */
export function parseBytes(text: string): number | undefined {
  const [, number, letter = ''] = /^\s*(\d{1,15}(?:\.\d{1,9})?)\s*(?:([kmgt])(?:ib)?)?\s*$/i.exec(text) ?? [];
  if (number === undefined) return undefined;
  const factor = KiB ** ' kmgt'.indexOf(letter.toLowerCase() || ' ');
  const bytes = Math.round(Number(number) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
