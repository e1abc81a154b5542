import { serviceCommand } from './service.ts';

export const proxy = serviceCommand(
  'proxy',
  'the HTTP edge: requests become jobs on the broker, answers come back (or out of the cache)',
  async () => {
    const { withBroker } = await import('../up/with-broker.ts');
    const { run: runProxy } = await import('../proxy/main.ts');
    const { run: runWithBackends } = await import('../up/origin.ts');
    return { run: withBroker((config, stop, io) => (config.origin ? runWithBackends : runProxy)(config, stop, io)) };
  },
);
