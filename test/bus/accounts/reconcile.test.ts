import { expect, test } from 'vitest';
import type { AccountSpec, BrokerAccounts, PresentAccount } from '../../../services/bus/accounts/accounts.ts';
import { differences, reconcile } from '../../../services/bus/accounts/reconcile.ts';
import { inviteAccount, memberAccount } from '../../../services/bus/accounts/specs.ts';
import { Failure } from '../../../services/lib/failure.ts';
import type { MemberId } from '../../../services/lib/identity/member-id.ts';

const id = (digit: string) => digit.repeat(64) as MemberId;
const ann = memberAccount(id('a'), 'hash of a', []);
const bob = memberAccount(id('b'), 'hash of b', ['web']);
const guest = inviteAccount('one', 'hash of one');
const admin: PresentAccount = {
  name: 'admin',
  passwordHash: undefined,
  rights: { configure: '.*', write: '.*', read: '.*', topics: [] },
  limits: { connections: null, channels: null },
};

test('what is as it should be is left alone, and so are accounts that are none of ours', () => {
  expect(differences([ann, bob, guest], [bob, admin, guest, ann])).toEqual({ put: [], remove: [] });
});

test('the order of topic rights is none of an account', () => {
  const turned = { ...bob, rights: { ...bob.rights, topics: bob.rights.topics.toReversed() } };
  expect(differences([bob], [turned])).toEqual({ put: [], remove: [] });
});

const narrower = { ...ann.rights, read: '^$' };
const [firstTopic, ...otherTopics] = ann.rights.topics;

test.each<[string, PresentAccount]>([
  ['another password', { ...ann, passwordHash: 'hash of x' }],
  ['a password of another kind', { ...ann, passwordHash: undefined }],
  ['other rights', { ...ann, rights: narrower }],
  ['no rights at all', { ...ann, rights: undefined }],
  ['one topic too few', { ...ann, rights: { ...ann.rights, topics: otherTopics } }],
  [
    'other rights on a topic',
    { ...ann, rights: { ...ann.rights, topics: [{ exchange: 'm', write: '.*', read: '.*' }, ...otherTopics] } },
  ],
  [
    'one topic too many',
    { ...ann, rights: { ...ann.rights, topics: [...ann.rights.topics, { exchange: 'x', write: '', read: '' }] } },
  ],
  ['no limits', { ...ann, limits: { connections: null, channels: null } }],
])('who has %s is put right', (_, present) => {
  expect(firstTopic?.exchange).toBe('m');
  expect(differences([ann, guest], [guest, present])).toEqual({ put: [ann], remove: [] });
});

test('who is missing is added, who should not be there goes, before', async () => {
  const there = new Map<string, PresentAccount>([admin, bob, guest].map(each => [each.name, each]));
  const said: string[] = [];
  const accounts: BrokerAccounts = {
    place: 'in memory',
    list: async prefix => [...there.values()].filter(({ name }) => name.startsWith(prefix)),
    put: async (account: AccountSpec) => {
      said.push(`put ${account.name}`);
      there.set(account.name, account);
    },
    setRights: async () => {},
    remove: async name => {
      said.push(`remove ${name}`);
      there.delete(name);
    },
  };
  const done = await reconcile(() => [ann], accounts);
  expect(done).toEqual({ put: [ann], remove: [bob.name, guest.name] });
  expect(said).toEqual([`remove ${bob.name}`, `remove ${guest.name}`, `put ${ann.name}`]);
  expect([...there.keys()]).toEqual(['admin', ann.name]);
  expect(await reconcile(() => [ann], accounts)).toEqual({ put: [], remove: [] });
});

test('an account that the broker does not take stands in nobody else’s way, and is told of', async () => {
  const put: string[] = [];
  const refused = (name: string): Promise<never> => Promise.reject(new Failure('ACCOUNTS_REFUSED', `not ${name}`));
  const accounts: BrokerAccounts = {
    place: 'in memory',
    list: async prefix => [bob].filter(({ name }) => name.startsWith(prefix)),
    put: async ({ name }) => {
      if (name === ann.name) return refused(name);
      put.push(name);
    },
    setRights: async () => {},
    remove: refused,
  };
  await expect(reconcile(() => [ann, guest], accounts)).rejects.toMatchObject({ message: `not ${bob.name}` });
  expect(put).toEqual([guest.name]);
});
