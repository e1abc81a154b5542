import { resolve } from 'node:path';
import { managementUrls } from '../bus/accounts/management-url.ts';
import { createBus } from '../bus/amqp-bus.ts';
import { roles } from '../bus/topology.ts';
import type { Run } from '../cli/io.ts';
import { serveUntil } from '../lib/stop.ts';
import { brokerPlaces } from './broker-places.ts';
import { startDirectory } from './service.ts';

/** `warren directory`: serves until `stop` aborts. */
export const run: Run = async (config, stop, io) => {
  const { queueType } = config.broker;
  const warn = (line: string): void => io.err(`directory: ${line}\n`);
  const bus = createBus(
    { urls: config.broker.url, name: 'warren directory', role: roles.directory(queueType, config.directory.chats) },
    warn,
  );
  try {
    const directory = await startDirectory(
      { bus, now: () => Date.now(), clock: () => performance.now(), warn },
      {
        ...config.directory,
        dataDir: resolve(io.cwd, config.data.dir),
        queueType,
        brokerUrls: brokerPlaces(config.broker),
        accountsUrl: managementUrls(config.broker),
      },
    );
    try {
      io.out(`directory serves ${directory.url} (/openapi.json, /livez)\n`);
      await serveUntil(
        stop,
        () => bus.ready(stop),
        () => io.out('directory is up\n'),
      );
    } finally {
      await directory.close();
    }
  } finally {
    await bus.close();
  }
};
