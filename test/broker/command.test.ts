import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type Options } from 'amqplib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { listen } from '../../services/lib/listen.ts';
import { askBroker } from '../../services/up/amqp-hello.ts';
import { spawnWarren, type WarrenProcess } from '../support/warren-process.ts';
import { hasOpenssl, makeCertificate } from './certificate.ts';
import { httpClient } from './http-client.ts';

async function temporaryDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'warren-broker-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

interface Running {
  readonly process: WarrenProcess;
  readonly url: string;
}

/** Starts `warren broker` on free ports; `url` from what it left in its directory for others. */
async function start(dir: string, flags: readonly string[] = [], env: Record<string, string> = {}): Promise<Running> {
  const process = await spawnWarren(['broker', '--port', '0', '--http-port', '0', '--data', dir, ...flags], env);
  onTestFinished(() => process[Symbol.asyncDispose]());
  await process.line(/^broker is up$/);
  return { process, url: (await readFile(join(dir, 'broker', 'url'), 'utf8')).trim() };
}

async function end({ process }: Running): Promise<void> {
  process.kill('SIGTERM');
  expect(await process.exit).toBe(0);
}

/** It ends by itself, with one line. */
async function complaint(dir: string, flags: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const process = await spawnWarren(['broker', '--port', '0', '--http-port', '0', '--data', dir, ...flags], env);
  onTestFinished(() => process[Symbol.asyncDispose]());
  expect(await process.exit).toBeGreaterThan(0);
  expect(process.lines).toHaveLength(1);
  return process.lines[0] ?? '';
}

async function withChannel<T>(url: string, use: (channel: import('amqplib').ConfirmChannel) => Promise<T>): Promise<T> {
  const connection = await connect(url);
  try {
    return await use(await connection.createConfirmChannel());
  } finally {
    await connection.close();
  }
}

const keep = (url: string): Promise<void> =>
  withChannel(url, async channel => {
    await channel.assertQueue('kept', { durable: true });
    channel.publish('', 'kept', Buffer.from('the message'), { persistent: true });
    await channel.waitForConfirms();
  });

const take = (url: string): Promise<string | undefined> =>
  withChannel(url, async channel => {
    await channel.assertQueue('kept', { durable: true });
    const message = await channel.get('kept', { noAck: true });
    return message === false ? undefined : message.content.toString();
  });

describe('warren broker', () => {
  test('makes an account, says where it is and not what, and keeps it and the messages for the next start', async () => {
    const dir = await temporaryDir();
    const first = await start(dir);
    const file = join(dir, 'broker', 'account');
    const { user, password } = JSON.parse(await readFile(file, 'utf8')) as Record<string, string>;
    expect(user).toBe('warren');
    expect(Buffer.from(password ?? '', 'base64url')).toHaveLength(24);
    for (const name of ['account', 'accounts.json', 'url', 'http-url'])
      expect((await stat(join(dir, 'broker', name))).mode & 0o777, name).toBe(0o600);
    expect((await stat(join(dir, 'broker'))).mode & 0o777).toBe(0o700);
    const said = first.process.lines.join('\n');
    expect(said).toContain(file);
    expect(said).not.toContain(password);
    expect(said).toMatch(/embedded.*127\.0\.0\.1/);
    expect(said).toContain('production runs on RabbitMQ');
    expect(await readFile(join(dir, 'broker', 'accounts.json'), 'utf8')).not.toContain(password);
    await keep(first.url);
    await end(first);
    expect(existsSync(join(dir, 'broker', 'url'))).toBe(false);

    const second = await start(dir);
    expect(new URL(second.url).password).toBe(password);
    expect(await take(second.url)).toBe('the message');
    await end(second);
  });

  test('with --memory keeps nothing, and says so', async () => {
    const dir = await temporaryDir();
    const first = await start(dir, ['--memory']);
    expect(first.process.lines.join('\n')).toContain('it keeps nothing');
    await keep(first.url);
    await end(first);
    expect(existsSync(join(dir, 'broker', 'log'))).toBe(false);
    const second = await start(dir, ['--memory']);
    expect(await take(second.url)).toBeUndefined();
  });

  test('takes the password from the environment, refuses others, and gives the account a new one', async () => {
    const dir = await temporaryDir();
    const as = (url: string, password: string): string => {
      const changed = new URL(url);
      changed.password = password;
      return changed.href;
    };
    const first = await start(dir, ['--user', 'me'], { WARREN_BROKER_PASSWORD: 'first' });
    await askBroker(as(first.url, 'first'));
    await expect(askBroker(as(first.url, 'second'))).rejects.toMatchObject({ code: 'BROKER_REFUSED' });
    expect(first.process.lines.join('\n')).not.toContain('first');
    expect(existsSync(join(dir, 'broker', 'account'))).toBe(false);
    await end(first);
    const second = await start(dir, ['--user', 'me', '--password', 'second']);
    await askBroker(as(second.url, 'second'));
    await expect(askBroker(as(second.url, 'first'))).rejects.toMatchObject({ code: 'BROKER_REFUSED' });
  });

  test('serves its HTTP API, told to others in its directory', async () => {
    const dir = await temporaryDir();
    await start(dir);
    const ask = httpClient((await readFile(join(dir, 'broker', 'http-url'), 'utf8')).trim());
    expect((await ask('GET', '/api/overview')).json).toMatchObject({ product_name: 'Warren', log: expect.anything() });
  });

  test('says good-bye to its clients at SIGTERM', async () => {
    const running = await start(await temporaryDir());
    const connection = await connect(running.url);
    const closed = new Promise<Error>(resolve => connection.on('close', resolve));
    await end(running);
    expect((await closed).message).toContain('CONNECTION_FORCED');
  });
});

describe('warren broker says in one line', () => {
  test.each(['--port', '--http-port'])('that the port of %s is taken', async flag => {
    const server = createServer();
    onTestFinished(() => void server.close());
    const port = await listen(server, { host: '127.0.0.1', port: 0 });
    const line = await complaint(await temporaryDir(), [flag, String(port)]);
    expect(line).toMatch(new RegExp(`^warren: port 127\\.0\\.0\\.1:${port} is taken`));
  });

  test('that another one has its directory', async () => {
    const dir = await temporaryDir();
    const { process } = await start(dir);
    const line = await complaint(dir, []);
    expect(line).toContain(`process ${process.pid} runs the broker of`);
    expect(line).toContain('--data');
  });

  test("that its account file is another one's", async () => {
    const dir = await temporaryDir();
    await end(await start(dir));
    expect(await complaint(dir, ['--user', 'me'])).toMatch(/account of warren, not of me: .*WARREN_BROKER_PASSWORD/);
  });

  test.each<[string, readonly string[], RegExp]>([
    ['half of TLS', ['--tls-cert', 'x'], /needs both/],
    ['authorities without a certificate', ['--tls-ca', 'x'], /needs a certificate/],
    ['files that are not there', ['--tls-cert', 'no.pem', '--tls-key', 'no.key'], /--tls-cert no\.pem cannot be read/],
    ['a limit that is none', ['--memory-limit', 'much'], /--memory-limit must be a size/],
  ])('%s', async (_, flags, line) => expect(await complaint(await temporaryDir(), flags)).toMatch(line));
});

describe.skipIf(!hasOpenssl)('warren broker with TLS', () => {
  async function open(url: string, options: object): Promise<void> {
    const connection = await connect(url, { ...options, noDelay: true } as Options.Connect);
    await connection.close();
  }

  test('takes clients that trust its certificate, and nobody in the clear', async () => {
    const dir = await temporaryDir();
    const { cert, key } = makeCertificate(dir, 'broker');
    const { url } = await start(dir, ['--tls-cert', cert, '--tls-key', key]);
    expect(url).toMatch(/^amqps:/);
    await open(url, { ca: await readFile(cert) });
    await expect(open(url, {})).rejects.toThrow(/self.signed/);
    await expect(askBroker(url.replace('amqps:', 'amqp:'))).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' });
    await open(url, { ca: await readFile(cert), maxVersion: 'TLSv1.2' });
    await expect(open(url, { ca: await readFile(cert), maxVersion: 'TLSv1.1' })).rejects.toThrow();
  });

  test('with --tls-ca takes only clients with a certificate from there', async () => {
    const dir = await temporaryDir();
    const server = makeCertificate(dir, 'broker');
    const mine = makeCertificate(dir, 'client');
    const other = makeCertificate(dir, 'other');
    const flags = ['--tls-cert', server.cert, '--tls-key', server.key, '--tls-ca', mine.cert];
    const { url } = await start(dir, flags);
    const ca = await readFile(server.cert);
    const pair = async (files: { cert: string; key: string }) => ({
      ca,
      cert: await readFile(files.cert),
      key: await readFile(files.key),
    });
    await open(url, await pair(mine));
    await expect(open(url, await pair(other))).rejects.toThrow();
    await expect(open(url, { ca })).rejects.toThrow();
  });

  test('says in one line that key and certificate do not fit', async () => {
    const dir = await temporaryDir();
    const [one, two] = [makeCertificate(dir, 'one'), makeCertificate(dir, 'two')];
    expect(await complaint(dir, ['--tls-cert', one.cert, '--tls-key', two.key])).toMatch(/do not serve/);
  });
});
