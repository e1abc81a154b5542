import { userInfo } from 'node:os';

/** The name of this system's user, as an account may be called. */
export function systemUser(env: Readonly<Record<string, string | undefined>>): string {
  const name = (env.USER || userInfo().username).toLowerCase();
  return (
    name
      .replaceAll(/[^a-z0-9._-]/g, '-')
      .replaceAll(/^[^a-z0-9]+|[^a-z0-9]+$/g, '')
      .slice(0, 32) || 'user'
  );
}
