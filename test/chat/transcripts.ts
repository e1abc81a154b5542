import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Stage } from './staged.ts';

/** Each: what it shows, and the stage after it. `node test/chat/transcripts.ts --write` puts them into docs/chat-protocol.md; a test compares. */
export const scenes: ReadonlyMap<string, () => Promise<Stage>> = new Map([
  ['a migration', aMigration],
  ['killed in the middle of it', killedWhileHandingOver],
  ['frozen, and awake again', frozenAndAwake],
  ['the next one killed as it begins', killedAsItBegins],
]);

export const page = join(import.meta.dirname, '../../docs/chat-protocol.md');

const leaseMs = 3_000;

async function aMigration(): Promise<Stage> {
  const stage = await new Stage({ leaseMs, migrateEveryMs: 1_000 }).open();
  await stage.until(() => stage.at('A').server.mode === 'freezing');
  // Said while nobody serves.
  stage.says('A', 'good morning');
  stage.says('B', 'good morning, A');
  await stage.until(() => stage.texts().length === 2 && stage.at('A').server.mode === 'latent');
  await stage.pass(30);
  return stage;
}

/** After it closed its channel, and before it could say so; with an entry on its way to the log that it could not ack. */
async function killedWhileHandingOver(): Promise<Stage> {
  const stage = await new Stage({ leaseMs, migrateEveryMs: 1_000 }).open();
  const a = stage.at('A');
  stage.strike = (process, effect) => {
    if (process === a && effect.kind === 'hand-over' && effect.message.step.kind === 'offer') stage.says('B', 'one');
    if (process === a && effect.kind === 'close') {
      stage.says('C', 'two');
      a.kill(5, 5);
    }
  };
  await stage.until(() => stage.texts().length === 2);
  await stage.pass(30);
  return stage;
}

/** With an input that it holds, which another one appends; it wakes up as if nothing had happened. */
async function frozenAndAwake(): Promise<Stage> {
  const stage = await new Stage({ leaseMs, migrateEveryMs: 0 }).open();
  const a = stage.at('A');
  a.freeze();
  stage.says('B', 'are you there?');
  await stage.pass(2_000);
  // After 2.2 to 2.6 heartbeats the broker takes it for dead.
  a.connection?.end();
  await stage.until(() => stage.texts().length === 1);
  await stage.pass(20);
  a.thaw();
  await stage.until(() => a.server.mode === 'latent' && a.connection !== undefined);
  await stage.pass(300);
  stage.says('B', 'so you are');
  await stage.until(() => stage.texts().length === 2);
  await stage.pass(10);
  return stage;
}

/** Its EPOCH counts, and nothing comes of it: the others wait for a lease. */
async function killedAsItBegins(): Promise<Stage> {
  const stage = await new Stage({ leaseMs, migrateEveryMs: 1_000 }).open();
  const a = stage.at('A');
  stage.strike = (process, effect) => {
    if (process === a && effect.kind === 'close') stage.says('A', 'is anybody there?');
    if (process !== a && effect.kind === 'mode' && effect.mode === 'active') {
      stage.strike = () => {};
      process.kill(0, 2);
    }
  };
  await stage.until(() => stage.texts().length === 1);
  await stage.pass(10);
  return stage;
}

/** The page with what the scenes are now. */
export async function withTranscripts(text: string): Promise<string> {
  let page = text;
  for (const [name, play] of scenes) {
    const { lines } = await play();
    const block = new RegExp(`(<!-- transcript: ${name} -->\n\n)\`\`\`text\n[^\`]*\`\`\`\n`);
    if (!block.test(page)) throw new Error(`docs/chat-protocol.md has no place for “${name}”`);
    page = page.replace(block, (_, head: string) => `${head}\`\`\`text\n${lines.join('\n')}\n\`\`\`\n`);
  }
  return page;
}

if (import.meta.main && process.argv.includes('--write'))
  writeFileSync(page, await withTranscripts(readFileSync(page, 'utf8')));
else if (import.meta.main)
  for (const [name, play] of scenes) process.stdout.write(`--- ${name}\n${(await play()).lines.join('\n')}\n`);
