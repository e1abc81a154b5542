import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { readMembership } from '../../services/member/home.ts';
import { ownBroker, temporaryDir } from '../support/broker.ts';
import { until } from '../support/until.ts';
import { Network, warren } from './network-of-processes.ts';

/** A machine joins with an invite: real processes, real accounts. */

let network: Network;
let home = '';

beforeEach(async () => {
  network = await Network.start(await ownBroker({ management: true }));
  home = await temporaryDir();
});

test('an invite is one line, lets one machine in, and is then of no use to another', async () => {
  const { code, out, err } = await network.here('invite', '--service', 'web');
  expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/^warren1-[\w-]+\n$/) });
  expect(err).toMatch(/^warning: the broker is named by an address of this machine[^\n]+broker\.address[^\n]+\n$/);
  const line = out.trim();
  expect(await network.names()).toEqual([expect.stringMatching(/^invite\.[0-9a-f]{16}$/)]);

  const joined = await warren(['join', line, '--data', home]);
  expect(joined).toEqual({
    code: 0,
    out: expect.stringMatching(/^joined as [0-9a-f]{12}, one of ann, and may serve web\n$/),
    err: '',
  });
  const membership = await readMembership(home);
  expect(membership).toMatchObject({ queueType: 'classic', services: ['web'], directoryAccount: 'test' });
  for (const file of ['key.pem', 'membership.json'])
    expect((await stat(join(home, 'member', file))).mode & 0o777).toBe(0o600);
  // Its own account has taken the place of the invite's.
  const id = /m\.[0-9a-f]{64}/.exec(membership?.brokerUrls[0] ?? '')?.[0];
  await until(
    () => network.names(),
    names => names.length === 1 && names[0] === id,
  );

  const other = await warren(['join', line, '--data', await temporaryDir()]);
  expect(other).toEqual({
    code: 1,
    out: '',
    err: 'warren: the broker does not take this invite: it was used, or withdrawn; ask for another\n',
  });
});
