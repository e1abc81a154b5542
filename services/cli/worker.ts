import { serviceCommand } from './service.ts';

export const worker = serviceCommand(
  'worker',
  'publish a web service: take its jobs from the broker and call the backends beside it',
  async () => {
    const { withBroker } = await import('../up/with-broker.ts');
    const { run } = await import('../worker/main.ts');
    return { run: withBroker(run, { asMember: true }) };
  },
);
