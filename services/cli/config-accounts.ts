import { resolve } from 'node:path';
import { loadConfig } from '../config/load.ts';
import { Failure } from '../lib/failure.ts';
import { randomHex } from '../lib/random.ts';
import type { Command } from './command.ts';
import { loadOptions } from './settings-file.ts';

export const configAccounts: Command = {
  name: 'config accounts',
  summary: 'make broker accounts for a deployment, with random passwords, in files; what is there stays',
  usage: 'DIR --broker amqp://HOST[:PORT] [flags]   (a worker account for each service of the routes)',
  settings: 'config',
  options: [],
  async run(argv, _stop, io) {
    const [first, ...rest] = argv;
    const dir = first?.startsWith('-') ? undefined : first;
    const { broker, routes } = loadConfig(loadOptions('config', dir === undefined ? argv : rest, io));
    if (dir === undefined)
      throw new Failure(
        'CONFIG',
        'warren config accounts needs a folder first: warren config accounts DIR --broker amqp://HOST',
      );
    if (broker.url.length === 0)
      throw new Failure('CONFIG', 'where is the broker? --broker amqp://HOST, once for each of its nodes');
    const { keepAccounts } = await import('../up/accounts/keep-accounts.ts');
    const services = [...new Set(routes.map(({ service }) => service))];
    const made = await keepAccounts(
      resolve(io.cwd, dir),
      { nodes: broker.url, services, queueType: broker.queueType },
      randomHex,
    );
    io.out(made.length === 0 ? 'all accounts are there\n' : `made accounts ${made.join(', ')}\n`);
  },
};
