import { serviceCommand } from './service.ts';

export const naming = serviceCommand(
  'naming',
  'who serves a name: over REST, over the broker, and as a DNS server',
  async () => {
    const { withBroker } = await import('../up/with-broker.ts');
    const { run } = await import('../naming/main.ts');
    return { run: withBroker(run) };
  },
);
