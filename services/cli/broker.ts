import { serviceCommand } from './service.ts';

export const broker = serviceCommand(
  'broker',
  'run the embedded message broker: for one machine, a trial, a class; production runs on RabbitMQ',
  () => import('../broker/main.ts'),
);
