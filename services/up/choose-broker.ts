import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Failure, messageOf } from '../lib/failure.ts';
import { askBroker } from './amqp-hello.ts';
import { claim } from './claim.ts';
import { brokerImage, startContainer } from './container.ts';
import { docker, dockerState, hasImage } from './docker.ts';
import type { LocalBroker } from './local-broker.ts';
import { findRabbit } from './rabbitmq-install.ts';
import { startRabbitNode } from './rabbitmq-node.ts';

export interface BrokerChoice {
  /** What was configured. Any: then nothing is looked for and nothing is started. */
  readonly urls: readonly string[];
  readonly dataDir: string;
  /** Told what is going on where it takes seconds. */
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal;
  /** How a broker is looked for on this machine; a test looks away. */
  readonly look?: { readonly findRabbit: typeof findRabbit; readonly dockerState: typeof dockerState };
}

export interface ChosenBroker {
  readonly urls: readonly string[];
  /** One line for people, without passwords. */
  readonly describe: string;
  /** Stops the broker if it was started here; its data stays. */
  close(): Promise<void>;
}

/** Somebody else's broker may be just booting; longer than that it is stuck. */
const patienceMs = 90_000;

/** How to get a broker, in one line. */
export const howToGetOne =
  'apt-get install rabbitmq-server, or start Docker, or name one with --broker amqp://user:password@host';

/**
 * The broker to use: the configured one; else the one that another process runs for the same data directory; else one
 * of our own on this machine, private to it, with its data in `<dataDir>/broker`: RabbitMQ if it is installed, else in
 * a container. Our own is told to others by `<dataDir>/broker/url` (0600) until `close`, and ends with this process.
 * @throws Failure NO_BROKER (there is none to be had), BROKER_HELD (the other process's does not answer), and those of
 * `startRabbitNode` and `startContainer`
 */
export async function chooseBroker(choice: BrokerChoice): Promise<ChosenBroker> {
  const { urls, dataDir, say, signal } = choice;
  if (urls.length > 0)
    return { urls, describe: `as configured: ${urls.map(placeOf).join(', ')}`, close: async () => {} };
  const dir = resolve(dataDir, 'broker');
  await mkdir(resolve(dataDir), { recursive: true, mode: 0o700 });
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const urlFile = join(dir, 'url');
  const deadline = performance.now() + patienceMs;
  for (let waiting = false; ; waiting = true) {
    signal?.throwIfAborted();
    const mine = await claim(join(dir, 'owner'));
    if ('release' in mine) return own(dir, urlFile, choice, mine.release);
    const url = (await readFile(urlFile, 'utf8').catch(() => '')).trim();
    if (url !== '' && (await answers(url)))
      return { urls: [url], describe: `the one of process ${mine.heldBy}, ${placeOf(url)}`, close: async () => {} };
    if (performance.now() > deadline)
      throw new Failure(
        'BROKER_HELD',
        `process ${mine.heldBy} runs the broker of ${dir}, and it does not answer: end that process, or choose another --data`,
      );
    if (!waiting) say(`waiting for the broker of process ${mine.heldBy}`);
    await wait(100, undefined, { signal });
  }
}

async function own(
  dir: string,
  urlFile: string,
  choice: BrokerChoice,
  release: () => Promise<void>,
): Promise<ChosenBroker> {
  try {
    // Of an owner that was killed.
    await rm(urlFile, { force: true });
    const broker = await startOne(dir, choice);
    await replaceFile(urlFile, `${broker.url}\n`);
    let closing: Promise<void> | undefined;
    const close = async (): Promise<void> => {
      await rm(urlFile, { force: true });
      await broker.close();
      await release();
    };
    return {
      urls: [broker.url],
      describe: broker.describe,
      close: () => {
        closing ??= close();
        return closing;
      },
    };
  } catch (error) {
    await release();
    throw error;
  }
}

async function startOne(
  dir: string,
  { say, signal, look = { findRabbit, dockerState } }: BrokerChoice,
): Promise<LocalBroker> {
  const account = { user: 'warren', password: await passwordIn(dir), ...(signal ? { signal } : {}) };
  const installed = look.findRabbit();
  if (installed !== undefined) {
    say(`starting a private RabbitMQ ${installed.version}`);
    return startRabbitNode({ dir: join(dir, 'node'), ...account });
  }
  const engine = await look.dockerState(signal);
  if (!engine.ok) throw new Failure('NO_BROKER', `no message broker here: ${howToGetOne}`);
  if (!(await hasImage(brokerImage, signal))) {
    say(`fetching the image ${brokerImage}`);
    await docker(['pull', '--quiet', brokerImage], { timeoutMs: 600_000, signal }).catch(error => {
      signal?.throwIfAborted();
      throw new Failure(
        'NO_BROKER',
        `no message broker here, and its image cannot be had (${messageOf(error)}): ${howToGetOne}`,
        { cause: error },
      );
    });
  }
  say('starting RabbitMQ in a container');
  return startContainer({ dir: join(dir, 'container'), ...account });
}

/** Made once and kept: the data knows the account by it. 24 random bytes. */
async function passwordIn(dir: string): Promise<string> {
  const file = join(dir, 'password');
  const kept = (await readFile(file, 'utf8').catch(() => '')).trim();
  if (kept !== '') return kept;
  const made = randomBytes(24).toString('base64url');
  await replaceFile(file, `${made}\n`);
  return made;
}

/** Readers see the old text or the new, and only this user's. */
async function replaceFile(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

async function answers(url: string): Promise<boolean> {
  try {
    await askBroker(url);
    return true;
  } catch {
    return false;
  }
}

/** Where it is, without the account. */
function placeOf(url: string): string {
  try {
    const { protocol, host } = new URL(url);
    return `${protocol}//${host}`;
  } catch {
    return 'an unreadable address';
  }
}
