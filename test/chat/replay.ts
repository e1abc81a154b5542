import { chatMutations } from './simulation/chat-mutations.ts';
import { simulateChat } from './simulation/chat-simulation.ts';

/** `node test/chat/replay.ts --replay SEED [--mutation NAME]`: the transcript of one seeded run, as the tests of the chat make them, and what is wrong in it. */
const flags = process.argv.slice(2);
const valueOf = (flag: string): string | undefined => flags[flags.indexOf(flag) + 1 || flags.length];
const seed = Number(valueOf('--replay') ?? Number.NaN);
const name = valueOf('--mutation') ?? '';

if (!Number.isSafeInteger(seed) || (name !== '' && !chatMutations.has(name))) {
  process.stderr.write(
    `replay: node test/chat/replay.ts --replay SEED [--mutation NAME], with one of: ${[...chatMutations.keys()].join(', ')}\n`,
  );
  process.exitCode = 2;
} else {
  const { transcript, problems } = await simulateChat(seed, { isTold: true, mutation: chatMutations.get(name) ?? {} });
  process.stdout.write(`${transcript.join('\n')}\n`);
  process.stdout.write(
    problems.length === 0 ? `seed ${seed}: all is right\n` : `seed ${seed}: ${problems.join('\n')}\n`,
  );
}
