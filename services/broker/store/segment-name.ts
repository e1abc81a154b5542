const pattern = /^(\d{8,15})\.log$/;

export function segmentName(segment: number): string {
  return `${String(segment).padStart(8, '0')}.log`;
}

/** @returns undefined for the name of another file */
export function parseSegmentName(name: string): number | undefined {
  const digits = pattern.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
