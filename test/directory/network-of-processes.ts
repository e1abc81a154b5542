import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { onTestFinished } from 'vitest';
import type { BrokerAccounts } from '../../services/bus/accounts/accounts.ts';
import { createBrokerAccounts } from '../../services/bus/accounts/management.ts';
import { readMembership } from '../../services/member/home.ts';
import type { LocalBroker } from '../../services/up/local-broker.ts';
import { temporaryDir } from '../support/broker.ts';
import { spawnWarren, type WarrenProcess } from '../support/warren-process.ts';

const bin = resolve(import.meta.dirname, '../../bin/warren.js');

export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** `warren ARGS` until it ends. @param input on its standard input */
export async function warren(argv: readonly string[], env: Record<string, string> = {}, input = ''): Promise<Said> {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('WARREN_')));
  const child = spawn(process.execPath, [bin, ...argv], {
    env: { ...clean, USER: 'ann', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  let [out, err] = ['', ''];
  child.stdout.on('data', chunk => {
    out += chunk;
  });
  child.stderr.on('data', chunk => {
    err += chunk;
  });
  const [code] = (await once(child, 'close')) as [number];
  return { code, out, err };
}

/** A directory in a process of its own, on a broker of its own with a management API, and what is done on its machine. */
export class Network {
  readonly dir: string;
  readonly broker: LocalBroker;
  readonly accounts: BrokerAccounts;
  directory: WarrenProcess;
  url = '';

  private constructor(dir: string, broker: LocalBroker, directory: WarrenProcess) {
    this.dir = dir;
    this.broker = broker;
    this.directory = directory;
    this.accounts = createBrokerAccounts(broker.httpUrl ?? '');
  }

  static async start(broker: LocalBroker): Promise<Network> {
    const dir = await temporaryDir();
    const network = new Network(dir, broker, await spawnDirectory(dir, broker));
    // Vitest refuses outside of a test; there it is the caller's to close.
    try {
      onTestFinished(() => network.directory[Symbol.asyncDispose]());
    } catch {}
    await network.isUp();
    return network;
  }

  /** One that was started in a `beforeAll`. */
  async close(): Promise<void> {
    await this.directory[Symbol.asyncDispose]();
    await this.broker.close();
  }

  async isUp(): Promise<void> {
    this.url = /http:\S+/.exec(await this.directory.line(/^directory serves/))?.[0] ?? '';
    await this.directory.line(/^directory is up$/);
  }

  /** It was ended before. */
  async startDirectory(): Promise<void> {
    this.directory = await spawnDirectory(this.dir, this.broker);
    await this.isUp();
  }

  /** A command on the directory's machine. */
  here(...argv: string[]): Promise<Said> {
    return warren([...argv, ...flagsOf(this.dir, this.broker)]);
  }

  /** @returns the line */
  async invite(...argv: string[]): Promise<string> {
    const { code, out, err } = await this.here('invite', ...argv);
    if (code !== 0) throw new Error(err);
    return out.trim();
  }

  async names(): Promise<string[]> {
    const present = await Promise.all(['m.', 'invite.'].map(prefix => this.accounts.list(prefix)));
    return present.flat().map(({ name }) => name);
  }
}

function flagsOf(dir: string, broker: LocalBroker): string[] {
  return ['--data', dir, '--broker', broker.url, '--broker-http', broker.httpUrl ?? ''];
}

function spawnDirectory(dir: string, broker: LocalBroker): Promise<WarrenProcess> {
  return spawnWarren(['directory', ...flagsOf(dir, broker), '--directory-port', '0']);
}

/** The broker URL of a home that has joined. */
export async function memberUrl(home: string): Promise<string> {
  return (await readMembership(home))?.brokerUrls[0] ?? '';
}
