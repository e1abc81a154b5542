import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startBackend } from '../support/backend.ts';
import { temporaryDir } from '../support/broker.ts';
import { spawnWarren, type WarrenProcess } from '../support/warren-process.ts';
import { lookUp } from './look-up.ts';
import { member } from './naming-under-test.ts';
import { askMethod } from './rest-client.ts';

interface Started {
  readonly process: WarrenProcess;
  readonly url: string;
  readonly port: string;
  readonly dnsPort: number;
}

const anyPorts = ['--naming-port', '0', '--dns-port', '0'];

async function start(dir: string, ...more: string[]): Promise<Started> {
  const process = await spawnWarren(['naming', '--data', dir, ...anyPorts, ...more], { WARREN_NAMING_LEASE_MS: '30s' });
  const url = /http:\S+/.exec(await process.line(/^naming serves/))?.[0] ?? '';
  const dnsPort = Number(/127\.0\.0\.1:(\d+)/.exec(await process.line(/^naming answers DNS/))?.[1]);
  await process.line(/^naming is up$/);
  return { process, url, port: new URL(url).port, dnsPort };
}

const held = (epoch: number) => ({
  ...{ name: 'backend.com', memberId: member(epoch), addresses: [`10.0.0.${epoch}:50051`], epoch, migrationId: 'm' },
});

test('what was answered outlives kill -9, at whatever moment; what is told to nobody is kept from everybody', async () => {
  const dir = await temporaryDir();
  const first = await start(dir);
  await using killed = first.process;
  const token = (await readFile(join(dir, 'naming/token'), 'utf8')).trim();
  let answered = 0;
  for (let epoch = 1; epoch < 250; epoch++) {
    // In the middle of many; the last of them may have been written and not answered.
    if (epoch === 40) killed.kill('SIGKILL');
    const answer = await askMethod(first.url, 'register', held(epoch), token).catch(() => undefined);
    if (answer === undefined) break;
    expect(answer.status).toBe(200);
    answered = epoch;
  }
  expect(await killed.exit).toBe('SIGKILL');
  expect(answered).toBeGreaterThanOrEqual(39);

  const second = await start(dir);
  await using again = second.process;
  const { json } = await askMethod(second.url, 'resolve', { name: 'backend.com' });
  const { record } = json as { record: { epoch: number; leaseLeftMs: number } };
  expect([answered, answered + 1]).toContain(record.epoch);
  expect(record.leaseLeftMs).toBeGreaterThan(0);
  expect(await lookUp(second.dnsPort, 'backend.com', 'A')).toBe(`10.0.0.${record.epoch}`);

  for (const line of [...killed.lines, ...again.lines]) expect(line).not.toContain(token);
  expect((await stat(join(dir, 'naming'))).mode & 0o777).toBe(0o700);
  for (const file of await readdir(join(dir, 'naming')))
    expect((await stat(join(dir, 'naming', file))).mode & 0o777).toBe(0o600);

  await using third = await spawnWarren(['naming', '--data', dir, ...anyPorts]);
  expect(await third.exit).toBe(1);
  expect(third.lines.at(-1)).toMatch(/^warren: process \d+ runs the naming of \S+ already/);
  again.kill('SIGTERM');
  expect(await again.exit).toBe(0);
});

test('warren names and warren health ask it', async () => {
  const dir = await temporaryDir();
  const { process, url, port } = await start(dir, '--zone', 'lab');
  await using running = process;
  const token = (await readFile(join(dir, 'naming/token'), 'utf8')).trim();
  const warren = async (...argv: string[]) => {
    await using asked = await spawnWarren([...argv, '--naming-port', port]);
    return { code: await asked.exit, lines: asked.lines };
  };
  expect(await warren('names', 'list')).toEqual({ code: 0, lines: ['no names'] });
  await using watching = await spawnWarren(['names', 'watch', '--naming-port', port]);
  await askMethod(url, 'register', held(7), token);
  await askMethod(url, 'registerLatent', { name: 'backend.com', memberId: member(8), logOffset: 5 }, token);
  const first = 'backend.com  epoch 7, 000000000000 10.0.0.7:50051, 1 latent';
  expect(await warren('names', 'list')).toEqual({ code: 0, lines: [first] });
  expect(await warren('names', 'resolve', 'backend.com')).toEqual({
    code: 0,
    lines: [first, '  latent  000000000000 over the broker, log up to 5'],
  });
  const { lines } = await warren('names', 'resolve', 'backend.com', '--json');
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ name: 'backend.com', epoch: 7, latents: [{ logOffset: 5 }] });
  // It may have come before or after the registration.
  await watching.line(/^(?:moved|current|latents) +backend\.com {2}epoch 7/);
  await askMethod(url, 'register', held(9), token);
  await watching.line(/^moved +backend\.com {2}epoch 9/);
  expect(await warren('names', 'resolve', 'nobody.lab')).toEqual({
    code: 1,
    lines: ['warren: nobody has registered nobody.lab'],
  });
  expect((await warren('names', 'resolve')).lines).toEqual(['warren: which name? warren names resolve NAME']);
  expect((await warren('names', 'resolve', 'no_name')).code).toBe(2);
  expect(await warren('health', 'naming')).toEqual({ code: 0, lines: ['alive'] });
  running.kill('SIGTERM');
  expect(await running.exit).toBe(0);
  expect(await watching.exit).toBe(1);
  expect(watching.lines.at(-1)).toMatch(/^warren: (?:naming has ended|the naming at)/);
  const { code, lines: unreached } = await warren('names', 'list');
  expect(code).toBe(1);
  expect(unreached.at(-1)).toMatch(/^warren: the naming at http:\S+: /);
});

test.each(['naming', 'dns'])('a taken %s port is one line that names it', async which => {
  await using taken = await startBackend('x');
  const ports = ['--naming-port', '0', '--dns-port', '0', `--${which}-port`, String(taken.port)];
  await using process = await spawnWarren(['naming', '--data', await temporaryDir(), ...ports]);
  expect(await process.exit).toBe(1);
  expect(process.lines.at(-1)).toMatch(new RegExp(`^warren: port .*${taken.port} is taken`));
});

test('a port that is taken for UDP alone as well', async () => {
  const taken = createSocket('udp4').bind(0, '127.0.0.1');
  onTestFinished(() => void taken.close());
  await once(taken, 'listening');
  const ports = ['--naming-port', '0', '--dns-port', String(taken.address().port)];
  await using process = await spawnWarren(['naming', '--data', await temporaryDir(), ...ports]);
  expect(await process.exit).toBe(1);
  expect(process.lines.at(-1)).toMatch(/^warren: port .* is taken/);
});
