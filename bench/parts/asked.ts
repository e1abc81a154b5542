/** The flags of a run; undefined when it is not to be run: they are wrong, or only the usage was asked for, and it has been shown. */
export function askedFor<T extends { readonly help: boolean }>(parse: () => T, usage: string): T | undefined {
  let flags: T;
  try {
    flags = parse();
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n${usage}`);
    process.exitCode = 2;
    return undefined;
  }
  if (!flags.help) return flags;
  process.stdout.write(usage);
  return undefined;
}
