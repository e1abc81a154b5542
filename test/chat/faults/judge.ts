/** What one sender knows of what it has said, by the numbers that it counts its messages with. */
export interface Said {
  readonly sender: string;
  /** The daemon has answered that it is kept: it is to stand in the log, once. */
  readonly kept: ReadonlySet<number>;
  /** The daemon went before it answered: once at most. */
  readonly unsure: ReadonlySet<number>;
}

export interface Verdict {
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
  readonly reordered: readonly string[];
  /** Nobody has said that. */
  readonly strange: readonly string[];
}

export function messageText(sender: string, number: number): string {
  return `${sender} ${number}`;
}

/** What is wrong with what somebody has seen, in the order in which it was seen. */
export function judge(said: readonly Said[], seen: readonly string[]): Verdict {
  const verdict = { lost: [] as string[], doubled: [] as string[], reordered: [] as string[], strange: [] as string[] };
  const bySender = new Map(said.map(each => [each.sender, { ...each, last: -1, found: new Set<number>() }]));
  for (const text of seen) {
    const [, name = '', digits = ''] = /^(\S+) (\d+)$/.exec(text) ?? [];
    const [sender, number] = [bySender.get(name), Number(digits)];
    if (sender === undefined || !(sender.kept.has(number) || sender.unsure.has(number))) verdict.strange.push(text);
    else if (sender.found.has(number)) verdict.doubled.push(text);
    else {
      if (number < sender.last) verdict.reordered.push(`${text} after ${sender.last}`);
      sender.last = Math.max(sender.last, number);
      sender.found.add(number);
    }
  }
  for (const { sender, kept, found } of bySender.values())
    for (const number of kept) if (!found.has(number)) verdict.lost.push(messageText(sender, number));
  return verdict;
}
