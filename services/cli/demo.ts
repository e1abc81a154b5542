import { serviceCommand } from './service.ts';

export const demo = serviceCommand('demo', 'the sample backends: a web form, three times', async () => {
  const { withBroker } = await import('../up/with-broker.ts');
  const { run } = await import('../demo/main.ts');
  return { run: withBroker(run) };
});
