import { readdirSync } from 'node:fs';

/** `npm run bench -- NAME [flags]`: runs `bench/NAME.ts`. */
const [name, ...flags] = process.argv.slice(2);
const names = readdirSync(import.meta.dirname)
  .filter(file => file.endsWith('.ts') && file !== 'run.ts')
  .map(file => file.slice(0, -'.ts'.length));

if (name !== undefined && names.includes(name)) {
  const { run }: { run: (flags: readonly string[]) => Promise<void> } = await import(`./${name}.ts`);
  await run(flags);
} else {
  const problem = name === undefined ? 'which benchmark?' : `no benchmark "${name}".`;
  process.stderr.write(
    `bench: ${problem} There are: ${names.join(', ')}. As in: npm run bench -- ${names[0]} --quick\n`,
  );
  process.exitCode = 2;
}
