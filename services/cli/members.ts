import { resolve } from 'node:path';
import { loadConfig } from '../config/load.ts';
import { Failure } from '../lib/failure.ts';
import type { Command } from './command.ts';
import { loadOptions } from './settings-file.ts';
import { takeOptions } from './take-options.ts';

const json = { flag: '--json', doc: 'as JSON' };

export const membersList: Command = {
  name: 'members list',
  summary: "show all machines that have joined; on the directory's machine",
  usage: '[--json] [flags]',
  settings: 'members',
  options: [json],
  async run(argv, _stop, io) {
    const { values, words, rest } = takeOptions(argv, { '--json': { isSwitch: true } });
    const config = loadConfig(loadOptions('members', [...words, ...rest], io));
    const { DirectoryStore, directoryDir } = await import('../directory/store.ts');
    const { formatMembers, shownMember } = await import('../directory/member-list.ts');
    using store = new DirectoryStore(directoryDir(resolve(io.cwd, config.data.dir)));
    const members = store.members.list().map(member => shownMember(member, Date.now()));
    io.out(values.has('--json') ? `${JSON.stringify(members, null, 2)}\n` : formatMembers(members));
  },
};

export const membersRevoke: Command = {
  name: 'members revoke',
  summary:
    "put a machine out for good: its broker account, connections, queues and certificate; on the directory's machine",
  usage: 'ID [--json] [flags]   (ID: or its beginning, see warren members list)',
  settings: 'members',
  options: [json],
  async run(argv, _stop, io) {
    const { values, words, rest } = takeOptions(argv, { '--json': { isSwitch: true } });
    const [id, ...more] = words;
    const config = loadConfig(loadOptions('members', [...more, ...rest], io));
    if (id === undefined)
      throw new Failure('CONFIG', 'which machine? warren members revoke ID (see warren members list)');
    const { revokeHere } = await import('../up/enrolling.ts');
    const { shortId } = await import('../lib/identity/member-id.ts');
    const { member, pending } = await revokeHere(config, resolve(io.cwd, config.data.dir), id);
    if (pending !== undefined)
      io.err(`warning: its account is not off the broker yet, the directory does it as soon as it can: ${pending}\n`);
    io.out(
      values.has('--json')
        ? `${JSON.stringify({ id: member.id, user: member.username, brokerAccountRemoved: pending === undefined }, null, 2)}\n`
        : `revoked ${shortId(member.id)}, of ${member.username}\n`,
    );
  },
};
