import { serviceCommand } from './service.ts';

export const member = serviceCommand(
  'member',
  "run this machine's member of the network: what others call, and what its owner uses",
  () => import('../member/main.ts'),
);
