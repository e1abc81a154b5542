import { SessionServiceDefinition } from '../../../proto/gen/warren/member/v1/session.ts';
import { jsonLine, visible } from '../visible.ts';
import type { Asked } from './asked.ts';

const variable = 'WARREN_USER_PASSWORD';

export async function login({ given, daemon, io, stop }: Asked): Promise<void> {
  const username = given.one('--user') ?? '';
  const { askedPassword } = await import('../read-password.ts');
  const password = given.has('--user') ? await askedPassword(variable, io, stop) : '';
  const { account } = await daemon.client(SessionServiceDefinition).logIn({ username, password });
  io.out(given.has('--json') ? jsonLine({ account, isLoggedIn: true }) : `logged in as ${visible(account)}\n`);
}

export async function logout({ given, daemon, io }: Asked): Promise<void> {
  const { isTold } = await daemon.client(SessionServiceDefinition).logOut({});
  if (given.has('--json')) io.out(jsonLine({ isLoggedIn: false, isTold }));
  else
    io.out(
      isTold
        ? 'logged out\n'
        : 'logged out; the directory does not answer, and forgets this peer by itself within half a minute\n',
    );
}
