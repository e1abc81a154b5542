import { brokerImage } from '../../services/up/container.ts';
import { dockerState, hasImage } from '../../services/up/docker.ts';
import { findRabbit } from '../../services/up/rabbitmq-install.ts';

/** One vitest project: the integration tests on one broker. */
export interface BrokerProject {
  readonly name: string;
  /** Where its broker comes from, for people. */
  readonly from: string;
  /** A file in this folder. */
  readonly globalSetup: string;
  /** For the setup that only fails: with what. */
  readonly why?: string;
}

export interface BrokersHere {
  readonly projects: readonly BrokerProject[];
  /** One line each: which one, and why not. */
  readonly missing: readonly string[];
}

const floor = '3.10';
const norm = '4.0';

/**
 * Which brokers this machine can give the integration tests: the embedded one, always; RabbitMQ 3.10, the floor
 * (installed), and 4.0, the norm (in Docker). `WARREN_BROKER_URL` names one to use instead of all. What cannot be had is
 * left out, unless `WARREN_REQUIRE_BROKERS` (`3.10,4.0`) asks for it: then there is a project that fails and says so.
 */
export async function brokersHere(env: NodeJS.ProcessEnv): Promise<BrokersHere> {
  if (env.WARREN_BROKER_URL) {
    const configured = { name: 'configured', from: 'WARREN_BROKER_URL', globalSetup: 'global-setup-configured.ts' };
    return { projects: [configured], missing: [] };
  }
  const projects: BrokerProject[] = [
    { name: 'embedded', from: 'this checkout', globalSetup: 'global-setup-embedded.ts' },
  ];
  const lacking = new Map<string, string>();

  const installed = findRabbit();
  const minor = installed?.version.split('.').slice(0, 2).join('.');
  if (installed !== undefined && minor !== undefined) {
    const name = minor === norm ? `rabbitmq-${minor}-installed` : `rabbitmq-${minor}`;
    projects.push({ name, from: 'apt', globalSetup: 'global-setup-installed.ts' });
  }
  if (minor !== floor)
    lacking.set(
      floor,
      minor === undefined ? 'apt-get install rabbitmq-server' : `the one installed is ${installed?.version}`,
    );

  const engine = await dockerState();
  if (!engine.ok) lacking.set(norm, engine.why);
  else if (!(await hasImage(brokerImage))) lacking.set(norm, `docker pull ${brokerImage}`);
  else projects.push({ name: `rabbitmq-${norm}`, from: 'docker', globalSetup: 'global-setup-docker.ts' });

  const missing = [...lacking].map(([version, why]) => `RabbitMQ ${version} (${why})`);
  // First, so that it fails before others have started their brokers.
  const globalSetup = 'global-setup-missing.ts';
  for (const version of (env.WARREN_REQUIRE_BROKERS ?? '')
    .split(',')
    .map(each => each.trim())
    .filter(Boolean)) {
    const why = lacking.get(version);
    if (why !== undefined || !projects.some(({ name }) => name === `rabbitmq-${version}`))
      projects.unshift({
        name: `rabbitmq-${version}`,
        from: '',
        globalSetup,
        why: `WARREN_REQUIRE_BROKERS asks for RabbitMQ ${version}, and it cannot be had here: ${why ?? 'no such test broker'}`,
      });
  }
  return { projects, missing };
}
