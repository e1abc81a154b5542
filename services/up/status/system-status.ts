import type { Config } from '../../config/config.ts';
import { messageOf } from '../../lib/failure.ts';
import { knownBroker } from '../known-broker.ts';
import type { Unreached } from './ask.ts';
import { type BrokerStatus, brokerStatus } from './broker-status.ts';
import { type DirectoryStatus, directoryStatus } from './directory-status.ts';
import { askOverBus, contactAll, type SeenMember } from './members.ts';
import { onBus } from './on-bus.ts';
import { type OwnMember, ownMember } from './own-member.ts';
import { type ProxyStatus, proxyStatus } from './proxy-status.ts';

/** All that can be seen from a data directory. */
export interface Status {
  /** Undefined on a machine that has joined and has neither broker nor directory. */
  readonly broker: BrokerStatus | Unreached | undefined;
  readonly proxy: ProxyStatus | Unreached | undefined;
  /** Undefined where none has ever run. */
  readonly directory: DirectoryStatus | Unreached | undefined;
  /** As the directory of this machine knows them, else as it tells the member that this machine is; undefined: neither. */
  readonly members: readonly SeenMember[] | Unreached | undefined;
  /** Undefined in a home that has not joined. */
  readonly member: OwnMember | Unreached | undefined;
}

/** Asks everything at once; whatever is down, it takes some seconds at most. */
export async function systemStatus(config: Config, dataDir: string): Promise<Status> {
  const [own, here, known, ...services] = await Promise.all([
    ownMember(dataDir).catch(problemOf),
    atDirectory(config, dataDir).catch(problemOf),
    knownBroker(config, dataDir),
    brokerStatus(config, dataDir),
    proxyStatus(config),
  ]);
  const isElsewhere = own !== undefined && here === undefined && known === undefined;
  const [broker, proxy] = isElsewhere ? [undefined, undefined] : services;
  const told = own === undefined || 'problem' in own ? undefined : own.members;
  const found = here === undefined || 'problem' in here ? { directory: here, members: told } : here;
  return { broker, proxy, directory: found.directory, members: found.members, member: own };
}

function problemOf(error: unknown): Unreached {
  return { problem: messageOf(error) };
}

async function atDirectory(
  config: Config,
  dataDir: string,
): Promise<{ directory: DirectoryStatus; members: readonly SeenMember[] } | undefined> {
  const [found, known] = await Promise.all([directoryStatus(dataDir), knownBroker(config, dataDir)]);
  if (found === undefined) return undefined;
  const { directory, members } = found;
  const unasked = members.map(member => ({ ...member, isSelf: false }));
  if (known === undefined || known.urls.length === 0 || !members.some(({ isActive }) => isActive))
    return { directory, members: unasked };
  // Why it cannot be reached is said of the broker itself.
  const seen = await onBus(known.urls, bus => contactAll(members, askOverBus(bus))).catch(() => unasked);
  return { directory, members: seen };
}
