import type { Exit } from '../command.ts';

/** How `warren files …` ends, beside 0, 1 and 2. */
export const filesExits: readonly Exit[] = [
  {
    code: 3,
    doc: 'no member runs for the data directory, or it ended meanwhile',
    failures: ['DAEMON_NOT_RUNNING', 'DAEMON_ENDPOINT', 'FILES_MEMBER_GONE'],
  },
  { code: 4, doc: 'nothing found: no such file, or nobody has it', failures: ['FILES_NOT_FOUND'] },
  { code: 5, doc: 'several different files have that name: they are listed', failures: ['FILES_SEVERAL'] },
  { code: 6, doc: 'refused, or failed for good: the line says why', failures: ['FILES_REFUSED', 'FILES_FAILED'] },
  {
    code: 7,
    doc: 'paused or cancelled from elsewhere; when paused, the same command goes on',
    failures: ['FILES_PAUSED', 'FILES_CANCELLED'],
  },
  { code: 8, doc: 'broker or directory cannot be reached now: try again', failures: ['FILES_AWAY'] },
  {
    code: 130,
    doc: 'interrupted (Ctrl-C); a get is paused: the same command goes on',
    failures: ['FILES_INTERRUPTED'],
  },
];
