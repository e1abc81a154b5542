import { expect, onTestFinished, test } from 'vitest';
import { createBus } from '../../../services/bus/amqp-bus.ts';
import { roles } from '../../../services/bus/topology.ts';
import { directoryClient } from '../../../services/directory/client.ts';
import { memberUrl, Network, warren } from '../../directory/network-of-processes.ts';
import { spawnDaemon } from '../../member/network.ts';
import { ownBroker, temporaryDir } from '../../support/broker.ts';
import { until } from '../../support/until.ts';

const password = 'correct horse';

test('logout takes the member off the active ones, over a restart too, and login puts it back', async () => {
  const network = await Network.start(await ownBroker({ management: true }));
  const home = await temporaryDir();
  const joined = await warren(['join', await network.invite(), '--data', home, '--user', 'ann'], {
    WARREN_USER_PASSWORD: password,
  });
  expect(joined.err).toBe('');
  const start = async () => {
    const daemon = await spawnDaemon(home, '--port', '0');
    onTestFinished(() => daemon.process[Symbol.asyncDispose]());
    await daemon.process.line(/^member is up$/);
    return daemon;
  };
  const first = await start();
  const bus = createBus({ urls: [await memberUrl(home)], name: 'test', role: roles.member() });
  onTestFinished(() => bus.close(200));
  const isActive = async (): Promise<boolean> => {
    const { members } = await directoryClient(bus).listMembers({ token: '', after: '', username: '' });
    return members.some(({ activeForMs }) => activeForMs > 0);
  };
  const files = (...argv: string[]) => warren(['files', ...argv, '--data', home], { WARREN_USER_PASSWORD: password });
  await until(isActive, is => is);

  expect(await files('logout')).toEqual({ code: 0, out: 'logged out\n', err: '' });
  expect(await isActive()).toBe(false);
  expect((await first.owner.status({})).directory).toMatchObject({ up: false, reason: 'logged out' });

  first.connection.close();
  first.process.kill('SIGTERM');
  expect(await first.process.exit).toBe(0);
  const second = await start();
  onTestFinished(() => second.connection.close());
  // It has had its first ping by then, if it were to ping.
  await until(
    () => second.owner.status({}),
    ({ broker }) => broker?.up === true,
  );
  expect(await isActive()).toBe(false);

  expect(await files('login', '--user', 'bob')).toMatchObject({
    code: 6,
    err: expect.stringContaining('this member belongs to ann'),
  });
  const wrong = await warren(['files', 'login', '--user', 'ann', '--data', home], {
    WARREN_USER_PASSWORD: 'wrong horse',
  });
  expect(wrong).toEqual({ code: 6, out: '', err: 'warren: wrong user name or password\n' });
  expect(await isActive()).toBe(false);
  expect(await files('login', '--user', 'ann', '--json')).toEqual({
    ...{ code: 0, err: '' },
    out: '{"account":"ann","isLoggedIn":true}\n',
  });
  expect(await isActive()).toBe(true);
  expect(await files('logout')).toMatchObject({ code: 0 });
  expect(await isActive()).toBe(false);
  expect(await files('login')).toEqual({ code: 0, out: 'logged in as ann\n', err: '' });
  expect(await isActive()).toBe(true);

  // Nobody to be told: it is logged out all the same, and says so.
  await network.directory[Symbol.asyncDispose]();
  const untold = await files('logout');
  expect(untold).toMatchObject({ code: 0, out: expect.stringContaining('the directory does not answer') });

  second.process.kill('SIGTERM');
  await second.process.exit;
  expect(await files('logout')).toEqual({
    ...{ code: 3, out: '' },
    err: `warren: no member runs for ${home}: warren member --data ${home}\n`,
  });
}, 120_000);
