/** A table of a page: the first column is text, the others figures. */
export function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [
    `| ${head.join(' | ')} |`,
    `|---|${head
      .slice(1)
      .map(() => '--:')
      .join('|')}|`,
    ...rows.map(row => `| ${row.join(' | ')} |`),
  ].join('\n');
}

/** Within 5 % of what was to be reached, or better. */
export function isReached(measured: number, aim: number): boolean {
  return measured <= aim * 1.05;
}

export function verdict(isMet: boolean): string {
  return isMet ? 'met' : '**missed**';
}
