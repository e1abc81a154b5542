import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { page, scenes, withTranscripts } from './transcripts.ts';

test('the transcripts in docs/chat-protocol.md are what the code does (node test/chat/transcripts.ts --write)', async () => {
  const text = await readFile(page, 'utf8');
  expect(text).toBe(await withTranscripts(text));
});

describe('what was said is there once, in order, and somebody serves, after', () => {
  const said: ReadonlyMap<string, readonly string[]> = new Map([
    ['a migration', ['good morning', 'good morning, A']],
    ['killed in the middle of it', ['one', 'two']],
    ['frozen, and awake again', ['are you there?', 'so you are']],
    ['the next one killed as it begins', ['is anybody there?']],
  ]);
  test.each([...scenes])('%s', async (name, play) => {
    const stage = await play();
    expect(stage.texts()).toEqual(said.get(name));
    const serving = stage.processes.filter(({ server, isRunning }) => isRunning && server.mode === 'active');
    expect(serving.map(({ member }) => member)).toEqual([serving[0]?.log.state.owner]);
  });
});
