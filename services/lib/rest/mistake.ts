import type { z } from 'zod';

/** What is wrong with a value, in one line without the value. */
export function mistakeIn(error: z.ZodError): string {
  const [issue] = error.issues;
  const where = issue && issue.path.length > 0 ? `${issue.path.join('.')}: ` : '';
  return `${where}${issue?.message ?? 'not valid'}`;
}
