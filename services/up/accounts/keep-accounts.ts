import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { managementUrls } from '../../bus/accounts/management-url.ts';
import { rights } from '../../bus/rights.ts';
import type { QueueKind } from '../../bus/topology.ts';
import { Failure, messageOf } from '../../lib/failure.ts';
import { replaceFile } from '../../lib/replace-file.ts';
import { formatDefinitions } from './definitions.ts';

export interface Deployment {
  /** The broker's nodes, amqp:// or amqps://; accounts in them do not count. */
  readonly nodes: readonly string[];
  /** Each gets an account for its workers. */
  readonly services: readonly string[];
  readonly queueType: QueueKind;
}

interface Kept {
  readonly name: string;
  readonly password: string;
  /** Made now, and not found. */
  readonly isNew: boolean;
}

/** 256 bits. */
const passwordDigits = 64;

/**
 * Makes the accounts of a deployment, with random passwords, as files that are the user's alone (0600), in a folder for whoever
 * needs them and nobody else (so each can be a volume of its own):
 *
 * - `broker/`: `definitions.json`, which RabbitMQ imports when it boots; `cluster.conf` and `erlang_cookie`; `admin_password`
 * - `proxy/`, `worker/<service>/`, `demo/`, `naming/`: `broker_url` with account and password, one node a line; `queue_type`. For the settings
 *   `WARREN_BROKER_URL_FILE` and `WARREN_BROKER_QUEUE_TYPE_FILE`
 * - `directory/`: the same, and `broker_http_url`, with the account that makes accounts, one node a line (`WARREN_BROKER_HTTP_URL_FILE`)
 *
 * Passwords that are there stay; the rest is written anew.
 * @returns the accounts that are new
 * @throws Failure ACCOUNTS
 */
export async function keepAccounts(
  dir: string,
  deployment: Deployment,
  random: (digits: number) => string,
): Promise<string[]> {
  const { nodes, services, queueType } = deployment;
  const people = [
    { name: 'proxy', folder: 'proxy', rights: rights.proxy() },
    ...services.map(service => ({
      name: `worker-${service}`,
      folder: join('worker', service),
      rights: rights.worker(service),
    })),
    { name: 'demo', folder: 'demo', rights: rights.demo() },
    { name: 'directory', folder: 'directory', rights: rights.directory() },
    { name: 'naming', folder: 'naming', rights: rights.naming() },
  ];
  try {
    const kept: Kept[] = [];
    for (const [place, { name, folder }] of people.entries()) {
      const file = join(dir, folder, 'broker_url');
      const known = passwordIn(await textOf(file));
      const password = known ?? random(passwordDigits);
      kept.push({ name, password, isNew: known === undefined });
      // Not all on one node of a cluster: each kind begins with another.
      const turned = [...nodes.slice(place % nodes.length), ...nodes.slice(0, place % nodes.length)];
      await write(file, `${turned.map(node => withAccount(node, name, password)).join('\n')}\n`);
      await write(join(dir, folder, 'queue_type'), `${queueType}\n`);
    }
    const keeper = await keepAccountsKeeper(join(dir, 'directory', 'broker_http_url'), nodes, random);
    const broker = join(dir, 'broker');
    const admin = await keepSecret(join(broker, 'admin_password'), random);
    const cookie = await keepSecret(join(broker, 'erlang_cookie'), random);
    await write(join(broker, 'erlang_cookie'), cookie.text);
    await write(join(broker, 'cluster.conf'), clusterConf(nodes));
    await write(
      join(broker, 'definitions.json'),
      formatDefinitions([
        { name: 'admin', password: admin.text },
        ...people.map((person, at) => ({ ...person, password: kept[at]?.password ?? '' })),
        { ...keeper, rights: rights.accountsKeeper(), keepsAccounts: true },
      ]),
    );
    const made = [...kept, keeper];
    return [...(admin.isNew ? ['admin'] : []), ...made.filter(({ isNew }) => isNew).map(({ name }) => name)];
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure('ACCOUNTS', `cannot keep accounts in ${dir}: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * How RabbitMQ's nodes find each other (https://www.rabbitmq.com/docs/cluster-formation); nothing for a single one. A node that
 * is cut off from the majority stops serving, and a queue that lost a replica gets one on the node that comes. A leader that
 * died without closing its connections (power, network) is noticed within a second or two, and not after the usual five to ten.
 */
function clusterConf(nodes: readonly string[]): string {
  if (nodes.length < 2) return '';
  const names = nodes.map(
    (node, at) => `cluster_formation.classic_config.nodes.${at + 1} = rabbit@${new URL(node).hostname}`,
  );
  return [
    'cluster_formation.peer_discovery_backend = classic_config',
    ...names,
    'cluster_partition_handling = pause_minority',
    'raft.adaptive_failure_detector.poll_interval = 1000',
    'quorum_queue.continuous_membership_reconciliation.enabled = true',
    `quorum_queue.continuous_membership_reconciliation.target_group_size = ${nodes.length}`,
    '',
  ].join('\n');
}

/** In a file that only the directory has: whoever has it can make any account. */
async function keepAccountsKeeper(
  file: string,
  nodes: readonly string[],
  random: (digits: number) => string,
): Promise<Kept> {
  const name = 'directory-accounts';
  const known = passwordIn(await textOf(file));
  const password = known ?? random(passwordDigits);
  const urls = managementUrls({ url: nodes.map(node => withAccount(node, name, password)) }) ?? [];
  await write(file, `${urls.join('\n')}\n`);
  return { name, password, isNew: known === undefined };
}

async function keepSecret(file: string, random: (digits: number) => string): Promise<{ text: string; isNew: boolean }> {
  const known = (await textOf(file))?.trim();
  if (known) return { text: known, isNew: false };
  const text = random(passwordDigits);
  await write(file, text);
  return { text, isNew: true };
}

function withAccount(node: string, user: string, password: string): string {
  const url = new URL(node);
  url.username = user;
  url.password = password;
  return url.href;
}

function passwordIn(text: string | undefined): string | undefined {
  return URL.parse(text?.split('\n')[0] ?? '')?.password || undefined;
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function write(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await replaceFile(file, text);
}
