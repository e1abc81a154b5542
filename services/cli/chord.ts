import { serviceCommand } from './service.ts';

/** `chord.only` is true for it. */
export const chord = serviceCommand(
  'chord',
  "run a node of the ring without files: a member's daemon that hosts nothing else",
  () => import('../member/main.ts'),
);
