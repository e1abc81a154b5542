import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { keptAccount } from '../broker/account.ts';
import { brokerDir, forgetWhereabouts, readWhereabouts, tellWhereabouts, type Whereabouts } from '../broker/home.ts';
import { claim } from '../lib/claim.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import { askBroker } from './amqp-hello.ts';
import { brokerImage, startContainer } from './container.ts';
import { docker, dockerState, hasImage } from './docker.ts';
import { type EmbeddedLimits, startEmbedded } from './embedded.ts';
import { findRabbit } from './rabbitmq-install.ts';
import { startRabbitNode } from './rabbitmq-node.ts';

/** `embedded` runs in this process; the others are processes of their own, which end with this one. */
export type BrokerKind = 'embedded' | 'rabbitmq' | 'container';

export interface BrokerChoice {
  /** What was configured. Any: then nothing is looked for and nothing is started. */
  readonly urls: readonly string[];
  readonly dataDir: string;
  /** What to start where there is none. Default embedded. */
  readonly kind?: BrokerKind;
  readonly limits?: EmbeddedLimits;
  /** Told what is going on where it takes seconds, and what a broker of ours complains of. */
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal;
}

export interface ChosenBroker {
  readonly urls: readonly string[];
  /** Of its HTTP API, with an administrator's account; undefined when that is not known from here. */
  readonly http: string | undefined;
  /** One line for people, without passwords. */
  readonly describe: string;
  /** Stops the broker if it was started here; its data stays. */
  close(): Promise<void>;
}

/** Somebody else's broker may be just booting; longer than that it is stuck. */
const patienceMs = 90_000;

/**
 * The broker to use: the configured one; else the one that another process runs for the same data directory; else one
 * of our own on this machine, private to it, with its data in `<dataDir>/broker`. Our own is told to others by files
 * there (0600) until `close`, and ends with this process.
 * @throws Failure BROKER_HELD (the other process's does not answer), NO_BROKER (the kind that was asked for cannot be
 * had), and those of `startEmbeddedBroker`, `startRabbitNode` and `startContainer`
 */
export async function chooseBroker(choice: BrokerChoice): Promise<ChosenBroker> {
  const { urls, dataDir, say, signal } = choice;
  if (urls.length > 0)
    return { urls, http: undefined, describe: `as configured: ${urls.map(placeOf).join(', ')}`, close: async () => {} };
  const dir = await brokerDir(resolve(dataDir));
  const deadline = performance.now() + patienceMs;
  for (let waiting = false; ; waiting = true) {
    signal?.throwIfAborted();
    const mine = await claim(join(dir, 'owner'));
    if ('release' in mine) return own(dir, choice, mine.release);
    const { url, http } = (await readWhereabouts(dir)) ?? {};
    if (url !== undefined && (await answers(url)))
      return {
        urls: [url],
        http,
        describe: `the one of process ${mine.heldBy}, ${placeOf(url)}`,
        close: async () => {},
      };
    if (performance.now() > deadline)
      throw new Failure(
        'BROKER_HELD',
        `process ${mine.heldBy} runs the broker of ${dir}, and it does not answer: end that process, or choose another --data`,
      );
    if (!waiting) say(`waiting for the broker of process ${mine.heldBy}`);
    await wait(100, undefined, { signal });
  }
}

async function own(dir: string, choice: BrokerChoice, release: () => Promise<void>): Promise<ChosenBroker> {
  try {
    // Of an owner that was killed.
    await forgetWhereabouts(dir);
    const broker = await startOne(dir, choice);
    await tellWhereabouts(dir, broker);
    let closing: Promise<void> | undefined;
    const close = async (): Promise<void> => {
      await forgetWhereabouts(dir);
      await broker.close();
      await release();
    };
    return {
      urls: [broker.url],
      http: broker.http,
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

type Started = Whereabouts & Pick<ChosenBroker, 'describe' | 'close'>;

async function startOne(dir: string, choice: BrokerChoice): Promise<Started> {
  const { kind = 'embedded', say, signal, limits = {} } = choice;
  const account = await keptAccount(dir, 'warren');
  if (kind === 'embedded') return startEmbedded({ dir, account, limits }, say);
  // For `warren status`, and for whoever chose RabbitMQ for its tools.
  const options = { ...account, management: true, ...(signal ? { signal } : {}) };
  if (kind === 'container') await prepareEngine(choice);
  else {
    const version = findRabbit()?.version;
    if (version !== undefined) say(`starting a private RabbitMQ ${version}`);
  }
  const broker = await (kind === 'container'
    ? startContainer({ ...options, dir: join(dir, 'container') })
    : startRabbitNode({ ...options, dir: join(dir, 'node') }));
  return { ...broker, http: broker.httpUrl };
}

/** @throws Failure NO_BROKER */
async function prepareEngine({ say, signal }: BrokerChoice): Promise<void> {
  const engine = await dockerState(signal);
  if (!engine.ok) throw new Failure('NO_BROKER', `no container can be started here: ${engine.why}`);
  if (!(await hasImage(brokerImage, signal))) {
    say(`fetching the image ${brokerImage}`);
    await docker(['pull', '--quiet', brokerImage], { timeoutMs: 600_000, signal }).catch(error => {
      signal?.throwIfAborted();
      throw new Failure('NO_BROKER', `the image ${brokerImage} cannot be had: ${messageOf(error)}`, { cause: error });
    });
  }
  say('starting RabbitMQ in a container');
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
