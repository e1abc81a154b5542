import { resolve } from 'node:path';
import { loadConfig } from '../config/load.ts';
import type { Command } from './command.ts';
import { loadOptions } from './settings-file.ts';

export const status: Command = {
  name: 'status',
  summary: "show the broker's queues, their depth and rates, and what the proxy says of itself",
  usage: '[flags]',
  settings: 'status',
  options: [{ flag: '--json', doc: 'all of it as JSON' }],
  async run(argv, _stop, io) {
    const config = loadConfig(
      loadOptions(
        'status',
        argv.filter(argument => argument !== '--json'),
        io,
      ),
    );
    const { brokerStatus } = await import('../up/status/broker-status.ts');
    const { proxyStatus } = await import('../up/status/proxy-status.ts');
    const { formatStatus } = await import('../up/status/format.ts');
    const dataDir = resolve(io.cwd, config.data.dir);
    const [broker, proxy] = await Promise.all([brokerStatus(config, dataDir), proxyStatus(config)]);
    const found = { broker, proxy };
    io.out(argv.includes('--json') ? `${JSON.stringify(found, null, 2)}\n` : formatStatus(found));
  },
};
