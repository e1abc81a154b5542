const second = 1_000;
const units: ReadonlyMap<string, number> = new Map([
  ['s', second],
  ['m', 60 * second],
  ['h', 3_600 * second],
  ['D', 86_400 * second],
  ['M', 2_592_000 * second],
  ['Y', 31_536_000 * second],
]);

/** Milliseconds of `10s`, `5m`, `2h`, `7D`, `1M`, `1Y` (RabbitMQ, "Streams": x-max-age); undefined if it is nothing of the sort. */
export function parseMaxAge(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,12})([YMDhms])$/.exec(text) ?? [];
  const factor = units.get(unit ?? '');
  return factor === undefined ? undefined : Number(count) * factor;
}
