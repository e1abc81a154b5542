import { broker } from './broker.ts';
import { chatCommands } from './chat/commands.ts';
import { chord } from './chord.ts';
import type { Command } from './command.ts';
import { configAccounts } from './config-accounts.ts';
import { configInit } from './config-init.ts';
import { configShow } from './config-show.ts';
import { demo } from './demo.ts';
import { directory } from './directory.ts';
import { filesCommands } from './files/commands.ts';
import { health } from './health.ts';
import { invite } from './invite.ts';
import { join } from './join.ts';
import { member } from './member.ts';
import { membersList, membersRevoke } from './members.ts';
import { namesList, namesResolve, namesWatch } from './names.ts';
import { naming } from './naming.ts';
import { proxy } from './proxy.ts';
import { ringGet, ringLeave, ringLookup, ringPut, ringRemove, ringShow } from './ring/commands.ts';
import { ringMenu } from './ring/menu.ts';
import { status } from './status.ts';
import { up } from './up.ts';
import { usersAdd, usersDisable, usersList, usersPasswd } from './users.ts';
import { worker } from './worker.ts';

/** All commands, in the order of `warren --help`. */
export const commands: readonly Command[] = [
  up,
  broker,
  proxy,
  worker,
  demo,
  directory,
  naming,
  namesList,
  namesResolve,
  namesWatch,
  usersAdd,
  usersList,
  usersPasswd,
  usersDisable,
  invite,
  join,
  membersList,
  membersRevoke,
  member,
  chord,
  ringShow,
  ringLookup,
  ringPut,
  ringGet,
  ringRemove,
  ringLeave,
  ringMenu,
  ...filesCommands,
  ...chatCommands,
  status,
  health,
  configInit,
  configShow,
  configAccounts,
];
