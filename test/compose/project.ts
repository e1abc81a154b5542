import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { randomHex } from '../../services/lib/random.ts';
import { docker } from '../../services/up/docker.ts';
import { freePort } from '../../services/up/free-port.ts';
import { tether } from '../../services/up/tether.ts';

const root = join(import.meta.dirname, '../..');
const patienceMs = 240_000;

/** The checkout's docker-compose.yml under a name, with ports and a network of its own: beside a developer's own one. */
export interface Project extends AsyncDisposable {
  readonly name: string;
  readonly image: string;
  /** Of the proxy and, with the profile `cluster`, of the second one. */
  readonly urls: readonly [string, string];
  readonly admin: string;
  /** The directory's REST. */
  readonly directory: string;
  /** The port of naming's DNS. */
  readonly dnsPort: number;
  readonly management: string;
  /** REST of the ring's nodes, of the profile `chord`. */
  readonly nodos: readonly string[];
  /** `docker compose ARGS` @returns what it printed on stdout */
  compose(...args: string[]): Promise<string>;
  /** The same, with something on its standard input. */
  composeWith(input: string, ...args: string[]): Promise<string>;
  /** The container of a service. */
  container(service: string, number?: number): string;
  /** A command in a running container, as its user. */
  exec(service: string, ...command: string[]): Promise<string>;
  /** Whether the service says that it is well. */
  isWell(service: string): Promise<boolean>;
  /** Containers, volumes and networks that are there, by name. */
  left(): Promise<string[]>;
}

/** When its input ends: takes all down, whatever became of us. */
const script = `
exec 3<&0 </dev/null
echo held
while read -r _; do :; done <&3
trap '' TERM
# Nobody reads us any more: a line to a closed pipe would end them half-way.
exec >/dev/null 2>&1
docker compose --profile '*' down --volumes --remove-orphans --timeout 2
docker image rm --force "$WARREN_IMAGE"
`;

export interface ProjectOptions {
  readonly profile?: string;
  /** Further compose files, from the root of the checkout. */
  readonly files?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export async function composeProject({
  profile = '',
  files = [],
  env: own = {},
}: ProjectOptions = {}): Promise<Project> {
  const name = `warren-test-${randomHex(8)}`;
  const image = `warren:${name}`;
  const ports = await Promise.all(Array.from({ length: 13 }, freePort));
  const [port, second, admin, amqp, management, prometheus, grafana, directory, naming, dns, ...nodos] =
    ports.map(String);
  const inherited = Object.entries(process.env).filter(([key]) => !/^(?:WARREN|COMPOSE)_/.test(key));
  const env = {
    ...Object.fromEntries(inherited),
    COMPOSE_PROJECT_NAME: name,
    COMPOSE_FILE: ['docker-compose.yml', ...files].join(':'),
    COMPOSE_PROFILES: profile,
    COMPOSE_ANSI: 'never',
    WARREN_IMAGE: image,
    WARREN_NET: `10.${100 + Math.floor(Math.random() * 100)}`,
    WARREN_PORT: port,
    WARREN_PORT_2: second,
    WARREN_ADMIN_PORT: admin,
    WARREN_DIRECTORY_PORT: directory,
    WARREN_NAMING_PORT: naming,
    WARREN_DNS_PORT: dns,
    WARREN_AMQP_PORT: amqp,
    WARREN_RABBITMQ_PORT: management,
    WARREN_PROMETHEUS_PORT: prometheus,
    WARREN_GRAFANA_PORT: grafana,
    ...Object.fromEntries(nodos.map((nodo, at) => [`WARREN_NODO${at + 1}_PORT`, nodo])),
    ...own,
  };
  const held = tether(`cd '${root}'\n${script}`, [], { env, graceMs: 60_000 });
  await held.firstLine;
  const composeWith = (input: string, ...args: string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      const options = { cwd: root, env, timeout: patienceMs, maxBuffer: 1 << 26 };
      const child = execFile('docker', ['compose', ...args], options, (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(`docker compose ${args.join(' ')}:\n${stderr || error.message}`, { cause: error }));
      });
      child.stdin?.end(input);
    });
  const container = (service: string, number = 1): string => `${name}-${service}-${number}`;
  return {
    name,
    image,
    urls: [`http://127.0.0.1:${port}`, `http://127.0.0.1:${second}`],
    admin: `http://127.0.0.1:${admin}`,
    directory: `http://127.0.0.1:${directory}`,
    dnsPort: Number(dns),
    management: `http://127.0.0.1:${management}`,
    nodos: nodos.map(nodo => `http://127.0.0.1:${nodo}`),
    compose: (...args) => composeWith('', ...args),
    composeWith,
    container,
    exec: (service, ...command) => docker(['exec', container(service), ...command]),
    isWell: async service => {
      try {
        if (!service.startsWith('rabbitmq'))
          return (await docker(['exec', container(service), 'warren', 'health'])) !== '';
        return (await docker(['inspect', '--format', '{{.State.Health.Status}}', container(service)])) === 'healthy';
      } catch {
        return false;
      }
    },
    left: async () => {
      const filter = ['--filter', `label=com.docker.compose.project=${name}`];
      const kinds = [
        ['ps', '--all', '--format', '{{.Names}}'],
        ['volume', 'ls', '--format', '{{.Name}}'],
        ['network', 'ls', '--format', '{{.Name}}'],
      ];
      const found = await Promise.all(kinds.map(words => docker([...words, ...filter])));
      return found.flatMap(text => text.split('\n').filter(Boolean));
    },
    [Symbol.asyncDispose]: async () => {
      held.release();
      await held.ended;
    },
  };
}
