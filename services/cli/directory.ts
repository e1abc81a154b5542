import { serviceCommand } from './service.ts';

export const directory = serviceCommand(
  'directory',
  'accounts, sessions and active peers: over REST, and over the broker',
  async () => {
    const { withBroker } = await import('../up/with-broker.ts');
    const { run } = await import('../directory/main.ts');
    return { run: withBroker(run) };
  },
);
