import { serviceCommand } from './service.ts';

export const up = serviceCommand(
  'up',
  'run the whole system on this machine: a broker, the proxy, three sample backends with a worker each, the directory',
  () => import('../up/main.ts'),
);
