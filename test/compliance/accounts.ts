import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { LocalBroker } from '../../services/up/local-broker.ts';
import { httpClient } from '../broker/http-client.ts';

const run = promisify(execFile);

export interface Account {
  readonly name: string;
  readonly password: string;
  /** Regular expressions for names of exchanges and queues in `/`. Without them no right to enter it. */
  readonly rights?: { readonly configure: string; readonly write: string; readonly read: string };
  /** Regular expressions for routing keys of one topic exchange each. */
  readonly topics?: readonly { readonly exchange: string; readonly write: string; readonly read: string }[];
}

/** How a test makes accounts on a broker of its own. */
export interface Accounts {
  /** Resolves when they count. */
  create(accounts: readonly Account[]): Promise<void>;
}

/** @returns a sentence instead, when nobody here knows how to make accounts on this broker */
export async function accountsOf(broker: LocalBroker): Promise<Accounts | string> {
  if (broker.httpUrl !== undefined) return accountsOverHttp(broker.httpUrl);
  const ctl = await rabbitmqctl(broker);
  if (typeof ctl === 'string') return ctl;
  return {
    create: async accounts => {
      // As a list of numbers, which no shell on the way takes for something else.
      const definitions = [...Buffer.from(JSON.stringify(definitionsOf(accounts)))].join();
      const said = await ctl(['eval', `rabbit_definitions:import_raw(<<${definitions}>>).`]);
      if (said !== 'ok') throw new Error(`rabbitmqctl says ${said}`);
    },
  };
}

function accountsOverHttp(httpUrl: string): Accounts {
  const ask = httpClient(httpUrl);
  const put = async (path: string, body: unknown): Promise<void> => {
    const { status, text } = await ask('PUT', path, body);
    if (status >= 300) throw new Error(`PUT ${path}: ${status} ${text}`);
  };
  return {
    create: async accounts => {
      for (const { name, password, rights, topics = [] } of accounts) {
        await put(`/api/users/${name}`, { password, tags: '' });
        if (rights) await put(`/api/permissions/%2F/${name}`, rights);
        for (const topic of topics) await put(`/api/topic-permissions/%2F/${name}`, topic);
      }
    },
  };
}

/** Accounts as RabbitMQ's definitions say them (https://www.rabbitmq.com/docs/definitions). */
function definitionsOf(accounts: readonly Account[]): object {
  const vhost = '/';
  return {
    users: accounts.map(({ name, password }) => {
      const salt = randomBytes(4);
      const hash = createHash('sha256').update(salt).update(password).digest();
      return {
        name,
        password_hash: Buffer.concat([salt, hash]).toString('base64'),
        hashing_algorithm: 'rabbit_password_hashing_sha256',
        tags: [],
      };
    }),
    permissions: accounts.flatMap(({ name, rights }) => (rights ? [{ user: name, vhost, ...rights }] : [])),
    topic_permissions: accounts.flatMap(({ name, topics = [] }) =>
      topics.map(topic => ({ user: name, vhost, ...topic })),
    ),
  };
}

type Ctl = (args: readonly string[]) => Promise<string>;

/** A way to run `rabbitmqctl` for the broker: in its container, or beside its process with that one's environment. */
async function rabbitmqctl(broker: LocalBroker): Promise<Ctl | string> {
  const timeout = 20_000;
  if (broker.kind === 'container') {
    const port = new URL(broker.url).port;
    const found = await run('docker', ['ps', '--quiet', '--filter', `publish=${port}`], { timeout });
    const id = found.stdout.trim();
    if (id === '') return `no container has port ${port}`;
    return async args => (await run('docker', ['exec', id, 'rabbitmqctl', ...args], { timeout })).stdout.trim();
  }
  if (broker.kind === 'rabbitmq-node') {
    const environment = await readFile(`/proc/${broker.pid}/environ`, 'utf8').catch(() => '');
    const env = Object.fromEntries(
      environment.split('\0').flatMap(each => {
        const [, name = '', value = ''] = /^(PATH|HOME|LANG|ERL_EPMD_PORT|RABBITMQ_\w+)=(.*)$/s.exec(each) ?? [];
        // Those are for the server's start; rabbitmqctl would take them as its own.
        return name === '' || /ERL_ARGS|ALLOW_INPUT|PID_FILE|DIST_PORT/.test(name) ? [] : [[name, value]];
      }),
    );
    const scripts = env.RABBITMQ_SCRIPTS_DIR;
    if (scripts === undefined) return `the environment of process ${broker.pid} cannot be read`;
    return async args => (await run(`${scripts}/rabbitmqctl`, [...args], { env, timeout })).stdout.trim();
  }
  return `there is no way to make accounts on a broker of the kind ${broker.kind} yet`;
}
