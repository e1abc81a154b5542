import { chooseBroker } from '../../services/up/choose-broker.ts';
import { startContainer } from '../../services/up/container.ts';
import { startRabbitNode } from '../../services/up/rabbitmq-node.ts';

// A program for tests: `node hold-broker.ts node|container|choose-KIND DIR` starts a broker, prints its URL and lives on.
const [kind, dir = ''] = process.argv.slice(2);
const account = { user: 'test', password: 'known-to-the-test' };
if (kind === 'node') console.log((await startRabbitNode({ dir, ...account })).url);
else if (kind === 'container') console.log((await startContainer({ dir, ...account, keepData: false })).url);
else {
  const chosen = kind === 'choose-embedded' ? 'embedded' : 'rabbitmq';
  console.log((await chooseBroker({ urls: [], dataDir: dir, kind: chosen, say: () => {} })).urls[0]);
}
setInterval(() => {}, 60_000);
