import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';

const program = fileURLToPath(new URL('waiting-program.ts', import.meta.url));
const children = new Set<ChildProcess>();

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
});

function start(command: string, env: Record<string, string> = {}) {
  const { WARREN_DEBUG: _, ...inherited } = process.env;
  const child = spawn(process.execPath, [program, command], { env: { ...inherited, ...env } });
  children.add(child);
  const output = { out: '', err: '' };
  child.stdout.on('data', chunk => {
    output.out += chunk;
  });
  child.stderr.on('data', chunk => {
    output.err += chunk;
  });
  const ended = once(child, 'close').then(([code, signal]) => ({ ...output, code, signal }));
  async function says(text: string): Promise<void> {
    while (!output.out.includes(text)) await once(child.stdout, 'data', { signal: AbortSignal.timeout(5000) });
  }
  return { child, ended, says };
}

describe('a running command', () => {
  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('ends with 0 once it has stopped, on %s', async signal => {
    const { child, ended, says } = start('wait');
    await says('waiting');
    child.kill(signal);
    expect(await ended).toMatchObject({ code: 0, out: 'waiting\nstopped\n', err: '' });
  });

  test('takes two interrupts at once for the same Ctrl-C', async () => {
    const { child, ended, says } = start('stubborn');
    await says('waiting');
    child.kill('SIGINT');
    await says('stopping');
    child.kill('SIGINT');
    await sleep(100);
    expect(child.exitCode).toBeNull();
    child.kill('SIGKILL');
    await ended;
  });

  test('ends at once with 130 on a second Ctrl-C', async () => {
    const { child, ended, says } = start('stubborn');
    await says('waiting');
    child.kill('SIGINT');
    // The program counts two within half a second as one.
    await sleep(600);
    child.kill('SIGINT');
    expect((await ended).code).toBe(130);
  });

  test('is stopped decently when nobody reads it any more', async () => {
    const { child, ended, says } = start('chatter');
    await says('x');
    child.stdout?.destroy();
    expect(await ended).toMatchObject({ code: 0, err: 'ended decently\n' });
  });

  test('is still stopped decently after an error that nobody caught, then ends with 1', async () => {
    expect(await start('crash').ended).toMatchObject({
      code: 1,
      out: 'stopped\n',
      err: 'warren: unexpected error: a bug (WARREN_DEBUG=1 tells where)\n',
    });
  });
});

describe('an error', () => {
  test("that is the circumstances' is one line and ends with 1", async () =>
    expect(await start('fail').ended).toMatchObject({ code: 1, err: 'warren: port 80 is taken\n', out: '' }));

  test('that is a bug is one line too', async () =>
    expect(await start('reject').ended).toMatchObject({
      code: 1,
      err: 'warren: unexpected error: a bug of two lines (WARREN_DEBUG=1 tells where)\n',
    }));

  test('shows its stack with WARREN_DEBUG=1', async () =>
    expect((await start('reject', { WARREN_DEBUG: '1' }).ended).err).toContain('waiting-program.ts'));
});
