import { MemberServiceDefinition } from '../../proto/gen/warren/member/v1/member.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import { connectToDaemon } from '../lib/rpc/local-daemon.ts';

const patienceMs = 3_000;

/**
 * Asks the member's daemon of a data directory over its local endpoint. A broker that is away does not make it ill.
 * @throws Failure DAEMON_NOT_RUNNING, DAEMON_ENDPOINT, HEALTH
 */
export async function askMember(dataDir: string): Promise<string> {
  const connection = await connectToDaemon(dataDir);
  try {
    const { broker } = await connection.client(MemberServiceDefinition).status({}, { deadlineMs: patienceMs });
    return broker?.up === true ? 'ready' : `alive, without a broker: ${broker?.reason ?? ''}`;
  } catch (error) {
    throw new Failure('HEALTH', `the daemon of ${dataDir}: ${messageOf(error)}`, { cause: error });
  } finally {
    connection.close();
  }
}
