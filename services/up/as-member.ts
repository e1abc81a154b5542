import type { Config } from '../config/config.ts';
import { Failure } from '../lib/failure.ts';
import { readMembership } from '../member/home.ts';

/**
 * The settings of a worker on a machine that has joined: the network's broker, with the member's account. A broker that is
 * configured goes before; undefined: it has not joined either.
 * @throws Failure NOT_GRANTED; MEMBER_HOME
 */
export async function asMember(config: Config, dataDir: string): Promise<Config | undefined> {
  const membership = await readMembership(dataDir);
  if (membership === undefined) return undefined;
  const { service } = config.worker;
  if (!membership.services.includes(service))
    throw new Failure(
      'NOT_GRANTED',
      `this member may not serve ${JSON.stringify(service)}: ask for an invite with --service ${service}`,
    );
  const { brokerUrls: url, queueType } = membership;
  return { ...config, broker: { ...config.broker, url, queueType } };
}
