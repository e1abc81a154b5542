import { brokerUrl, domain, httpUrl, listenHost, network, upstreamUrl } from './address.ts';
import { choice, type Format, flag, integer, list, optional, port, text } from './format.ts';
import { bytes, duration } from './quantity.ts';
import { findDuplicate, type RouteSetting, routeText, serviceName } from './route.ts';
import { type CommandName, type Setting, setting } from './setting.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const DAY = 86_400_000;

const bus: readonly CommandName[] = ['up', 'proxy', 'worker', 'demo', 'directory', 'naming'];
/** On the directory's machine: they write to its store, and change accounts on its broker. */
const enrolling: readonly CommandName[] = ['invite', 'members'];
/** They may run the embedded broker. */
const brokers: readonly CommandName[] = ['up', 'broker'];
const edge: readonly CommandName[] = ['up', 'proxy'];
const directories: readonly CommandName[] = ['up', 'directory'];
const naming: readonly CommandName[] = ['up', 'naming'];
const members: readonly CommandName[] = ['member', 'chord', 'chat'];
/** They host a chat's server. */
const chatting: readonly CommandName[] = ['up', 'member', 'chat'];
const sharing: readonly CommandName[] = ['member'];
const work: readonly CommandName[] = ['up', 'proxy', 'worker'];

const ports: Format<readonly number[]> = {
  parse(raw) {
    const numbers = list(port).parse(raw);
    const fixed = numbers.filter(number => number !== 0);
    if (numbers.length === 0 || new Set(fixed).size < fixed.length)
      throw new Error('must be one or more different ports');
    return numbers;
  },
  format: list(port).format,
};

const zones: Format<readonly string[]> = {
  parse(raw) {
    const names = list(domain).parse(raw);
    if (names.length === 0 || names.length > 100) throw new Error('must be 1 to 100 domains');
    return [...new Set(names)];
  },
  format: list(domain).format,
};

const chats: Format<readonly string[]> = {
  parse(raw) {
    const names = [...new Set(list(domain).parse(raw))];
    // All of them are in the rights of each member.
    if (names.length > 8 || names.join('').length > 256)
      throw new Error('must be 8 names at most, of 256 letters together');
    return names;
  },
  format: list(domain).format,
};

const routeList: Format<readonly RouteSetting[]> = {
  parse(raw) {
    const routes = list(routeText).parse(raw);
    if (routes.length === 0) throw new Error('must be one route at least');
    const duplicate = findDuplicate(routes);
    if (duplicate !== undefined) throw new Error(`must not have two routes for ${duplicate.host}${duplicate.path}`);
    return routes;
  },
  format: list(routeText).format,
};

const everything: RouteSetting = {
  name: 'web',
  host: '*',
  path: '/',
  service: 'web',
  ttlSeconds: undefined,
  idempotencyKey: false,
  deadlineMs: undefined,
};

/**
 * All settings. A key is `section.name` as in the ini file; `routes` is written there as `[route.NAME]` sections. From
 * this table come the convict schema, the type `Config`, the flags, `--help`, `config init`, `config show` and the
 * documentation.
 */
export const settings = {
  'broker.url': setting(list(brokerUrl), [], {
    doc: 'The broker, or the nodes of its cluster, tried in turn; none: the one of the data directory, else one of our own (broker.kind).',
    flag: { name: 'broker', value: 'URL', repeatable: true },
    commands: [...bus, 'status', ...enrolling],
    sensitive: 'urls',
  }),
  'broker.address': setting(list(brokerUrl), [], {
    doc: 'The broker, or its nodes, as members on other machines reach it: amqp://HOST[:PORT][/VHOST] or amqps, without an account; none: as in broker.url.',
    flag: { name: 'broker-address', value: 'URL', repeatable: true },
    commands: [...directories, 'invite'],
    sensitive: 'urls',
  }),
  'broker.kind': setting(choice('embedded', 'rabbitmq', 'container'), 'embedded', {
    doc: 'What is started when no broker is configured: the embedded one, the RabbitMQ installed here as a private node, or one in a Docker container.',
    flag: { name: 'broker-kind', value: 'KIND' },
    commands: bus,
  }),
  'broker.queue_type': setting(choice('classic', 'quorum'), 'classic', {
    doc: 'Kind of the shared queues: quorum for a cluster, classic (faster) for a single node.',
    flag: { name: 'queue-type', value: 'TYPE' },
    commands: [...work, 'directory', 'naming'],
  }),
  'broker.host': setting(listenHost, '127.0.0.1', {
    doc: 'Address that `warren broker` listens on; beyond this machine give it a certificate too.',
    flag: { name: 'host', value: 'ADDRESS' },
    commands: ['broker'],
  }),
  'broker.port': setting(port, 5672, {
    doc: 'Port of `warren broker` for AMQP; 0 is any free one.',
    flag: { name: 'port', value: 'PORT' },
    commands: ['broker'],
  }),
  'broker.user': setting(text, 'warren', {
    doc: "Name of the administrator's account, which is made at the first start.",
    flag: { name: 'user', value: 'NAME' },
    commands: ['broker'],
  }),
  'broker.password': setting(optional(text), undefined, {
    doc: 'Its password; none: a random one, kept in broker/account of the data directory. Flags show in `ps`: better in the environment or the file.',
    flag: { name: 'password', value: 'PASSWORD' },
    commands: ['broker'],
    sensitive: 'password',
  }),
  'broker.memory': setting(flag, false, {
    doc: 'Messages, queues and accounts in memory only: nothing is left when the broker ends.',
    flag: { name: 'memory', value: '', isSwitch: true },
    commands: ['broker'],
  }),
  'broker.tls_cert': setting(optional(text), undefined, {
    doc: 'File with the certificate (PEM, with those between it and the root): AMQP over TLS only.',
    flag: { name: 'tls-cert', value: 'FILE' },
    commands: ['broker'],
  }),
  'broker.tls_key': setting(optional(text), undefined, {
    doc: "File with the certificate's private key (PEM).",
    flag: { name: 'tls-key', value: 'FILE' },
    commands: ['broker'],
  }),
  'broker.tls_ca': setting(optional(text), undefined, {
    doc: "File with the authorities that clients' certificates must come from (PEM); none: clients need no certificate.",
    flag: { name: 'tls-ca', value: 'FILE' },
    commands: ['broker'],
  }),
  'broker.http_host': setting(listenHost, '127.0.0.1', {
    doc: "Address of the broker's HTTP API (queues, connections, accounts, metrics); it is not encrypted.",
    commands: ['broker'],
  }),
  'broker.http_port': setting(port, 15_672, {
    doc: 'Port of the HTTP API; 0 is any free one.',
    flag: { name: 'http-port', value: 'PORT' },
    commands: ['broker'],
  }),
  'broker.memory_limit': setting(optional(bytes(MiB, 1024 * GiB)), undefined, {
    doc: "Bytes of messages in memory above which the embedded broker blocks publishers; none: 40 % of the machine's memory.",
    flag: { name: 'memory-limit', value: 'SIZE' },
    commands: brokers,
  }),
  'broker.disk_free_limit': setting(bytes(0, 1024 * GiB), 50 * MiB, {
    doc: 'Free bytes on its disk below which the embedded broker blocks publishers.',
    flag: { name: 'disk-free-limit', value: 'SIZE' },
    commands: brokers,
  }),
  'broker.http_url': setting(optional(list(httpUrl)), undefined, {
    doc: "The HTTP API of the broker, embedded or RabbitMQ's management, with an account (the directory's must be an administrator's: it makes accounts), or those of its nodes, tried in turn; none: known of the one of the data directory, else guessed from broker.url.",
    flag: { name: 'broker-http', value: 'URL', repeatable: true },
    commands: ['status', ...directories, ...enrolling],
    sensitive: 'urls',
  }),
  'data.dir': setting(text, '.warren', {
    doc: 'Folder for all state, one folder per service inside.',
    env: 'WARREN_DATA',
    flag: { name: 'data', value: 'DIR' },
    commands: [...bus, 'broker', 'users', ...members, 'ring', 'files', 'status', 'join', ...enrolling],
  }),
  'log.format': setting(choice('console', 'json', 'off'), 'console', {
    doc: "console: the origin's lines; json: one object a line; off: nothing.",
    env: 'WARREN_LOG',
    flag: { name: 'log', value: 'FORMAT' },
    commands: [...work, 'demo'],
  }),
  'proxy.host': setting(listenHost, '', {
    doc: 'Address to listen on; empty: all interfaces for `warren proxy`, loopback for `warren up`.',
    flag: { name: 'host', value: 'ADDRESS' },
    commands: edge,
  }),
  'proxy.port': setting(port, 8080, {
    doc: 'Port for clients; 0 is any free one.',
    flag: { name: 'port', value: 'PORT' },
    commands: edge,
  }),
  'proxy.tls_cert': setting(optional(text), undefined, {
    doc: 'File with the certificate (PEM, with those between it and the root): clients use https only. Read again when it changes.',
    flag: { name: 'tls-cert', value: 'FILE' },
    commands: edge,
  }),
  'proxy.tls_key': setting(optional(text), undefined, {
    doc: "File with the certificate's private key (PEM).",
    flag: { name: 'tls-key', value: 'FILE' },
    commands: edge,
  }),
  'proxy.admin_host': setting(listenHost, '127.0.0.1', {
    doc: 'Address of the admin server (health, metrics, status).',
    flag: { name: 'admin-host', value: 'ADDRESS' },
    commands: [...edge, 'status'],
  }),
  'proxy.admin_port': setting(port, 8081, {
    doc: 'Port of the admin server.',
    flag: { name: 'admin-port', value: 'PORT' },
    commands: [...edge, 'status'],
  }),
  'proxy.backlog': setting(integer(1, 65_535), 511, {
    doc: 'Connections that the system holds before they are accepted.',
    commands: edge,
  }),
  'proxy.header_limit': setting(bytes(256, MiB), 32 * KiB, {
    doc: 'Size of a request head at most; larger: 431.',
    commands: edge,
  }),
  'proxy.body_limit': setting(bytes(0, 1024 * GiB), GiB, {
    doc: 'Size of a request body at most; larger: 413.',
    commands: edge,
  }),
  'proxy.max_connections': setting(integer(1, 1_000_000), 10_000, {
    doc: 'Clients served at a time; more: 503.',
    commands: edge,
  }),
  'proxy.job_deadline_ms': setting(duration(1, DAY), 30_000, {
    doc: 'Time for a request to be answered; later: 504.',
    commands: edge,
  }),
  'proxy.queue_timeout_ms': setting(duration(0, DAY), 5000, {
    doc: 'Time to wait for a worker when none is alive; later: 503.',
    commands: edge,
  }),
  'proxy.broker_grace_ms': setting(duration(0, DAY), 1000, {
    doc: 'Time that requests wait for a broker that has just gone; longer: 503. A cluster fails over in less than 5 s.',
    commands: edge,
  }),
  'proxy.idle_timeout_ms': setting(duration(1, DAY), 60_000, {
    doc: 'Time that a client connection may idle between requests.',
    commands: edge,
  }),
  'proxy.header_timeout_ms': setting(duration(1, DAY), 10_000, {
    doc: 'Time for a request head to arrive; later: 408.',
    commands: edge,
  }),
  'proxy.body_timeout_ms': setting(duration(1, DAY), 30_000, {
    doc: 'Time without progress in a request body (longer: 408), or in what the client takes of a response (longer: cut).',
    commands: edge,
  }),
  'proxy.cache_bytes': setting(bytes(0, 64 * GiB), 64 * MiB, {
    doc: 'Memory for stored replies.',
    commands: edge,
  }),
  'proxy.trusted': setting(list(network), [], {
    doc: 'Addresses and networks (CIDR) whose Forwarded and X-Forwarded-* fields are believed.',
    flag: { name: 'trusted', value: 'CIDR', repeatable: true },
    commands: edge,
  }),
  routes: setting(routeList, [everything], {
    defaultFor: { up: [{ ...everything, ttlSeconds: 180 }] },
    doc: 'Which requests go to which service: HOST/PATH=SERVICE[;ttl=SECONDS][;idempotency_key=true][;deadline_ms=TIME].',
    flag: { name: 'route', value: 'ROUTE', repeatable: true },
    commands: edge,
  }),
  'worker.service': setting(serviceName, 'web', {
    doc: 'The service whose jobs are taken.',
    flag: { name: 'service', value: 'NAME' },
    commands: ['worker'],
  }),
  'worker.upstream': setting(list(upstreamUrl), [], {
    doc: 'The backends that are called, in turn.',
    flag: { name: 'upstream', value: 'URL', repeatable: true },
    commands: ['worker'],
  }),
  'worker.concurrency': setting(integer(1, 1000), 64, {
    doc: 'Jobs held at a time, until their response begins.',
    flag: { name: 'concurrency', value: 'N' },
    commands: work,
  }),
  'worker.max_streams': setting(integer(1, 1_000_000), 10_000, {
    doc: 'Responses and WebSockets that go on behind their beginning, at a time; more count as jobs held.',
    commands: work,
  }),
  'worker.connect_timeout_ms': setting(duration(1, DAY), 2000, {
    doc: 'Time to connect to a backend; longer: another one is tried.',
    commands: work,
  }),
  'worker.lease_ms': setting(duration(1, DAY), 3000, {
    doc: 'Time after which a silent worker counts as dead.',
    commands: work,
  }),
  'worker.renew_ms': setting(duration(1, DAY), 1000, {
    doc: 'How often a worker says that it lives; less than the lease.',
    commands: work,
  }),
  'worker.drain_ms': setting(duration(0, DAY), 25_000, {
    doc: 'Time for running jobs to end when the worker stops.',
    commands: work,
  }),
  'worker.health_host': setting(listenHost, '127.0.0.1', {
    doc: "Address of the worker's health server.",
    commands: ['worker'],
  }),
  'worker.health_port': setting(optional(port), undefined, {
    doc: 'Port where `warren worker` tells whether it is well (/livez, /readyz); none: no such server.',
    flag: { name: 'health-port', value: 'PORT' },
    commands: ['worker'],
  }),
  'demo.host': setting(listenHost, '127.0.0.1', {
    doc: 'Address that the sample backends of `warren demo` listen on.',
    flag: { name: 'demo-host', value: 'ADDRESS' },
    commands: ['demo'],
  }),
  'demo.ports': setting(ports, [3001, 3002, 3003], {
    doc: 'Ports of the sample backends, one each; 0 is any free one.',
    flag: { name: 'demo-ports', value: 'PORTS' },
    commands: ['up', 'demo'],
  }),
  'demo.names': setting(list(text), [], {
    doc: 'What the sample backends call themselves, in the order of their ports; none: backend-1, backend-2, ….',
    flag: { name: 'demo-name', value: 'NAME', repeatable: true },
    commands: ['demo'],
  }),
  'directory.host': setting(listenHost, '127.0.0.1', {
    doc: "Address of the directory's REST, which is not encrypted; over the broker it is reached in any case.",
    flag: { name: 'directory-host', value: 'ADDRESS' },
    commands: directories,
  }),
  'directory.port': setting(port, 5000, {
    doc: "Port of the directory's REST; 0 is any free one.",
    flag: { name: 'directory-port', value: 'PORT' },
    commands: directories,
  }),
  'directory.open_registration': setting(flag, true, {
    doc: 'Whether whoever reaches the directory may make an account; false: only `warren users add`.',
    flag: { name: 'open-registration', value: '', isSwitch: true },
    commands: directories,
  }),
  'directory.session_ms': setting(duration(60_000, 365 * DAY), 30 * DAY, {
    doc: 'Time that a login is good for.',
    commands: directories,
  }),
  'directory.lease_ms': setting(duration(1, DAY), 30_000, {
    doc: 'Time after which a peer that does not ping drops out.',
    commands: directories,
  }),
  'directory.chats': setting(chats, ['backend.com'], {
    doc: "The network's chats, by name: each member may speak in them.",
    flag: { name: 'chat', value: 'NAME', repeatable: true },
    commands: directories,
  }),
  'directory.chat_hosts': setting(list(text), [], {
    doc: 'Accounts whose members may serve the chats, and so see what is said to them first; none: all.',
    commands: directories,
  }),
  'naming.host': setting(listenHost, '127.0.0.1', {
    doc: "Address of naming's REST, which is not encrypted: everybody who reaches it reads all names; over the broker it is reached in any case.",
    flag: { name: 'naming-host', value: 'ADDRESS' },
    commands: [...naming, 'names'],
  }),
  'naming.port': setting(port, 8000, {
    doc: "Port of naming's REST; 0 is any free one.",
    flag: { name: 'naming-port', value: 'PORT' },
    commands: [...naming, 'names'],
  }),
  'naming.dns_host': setting(listenHost, '127.0.0.1', {
    doc: 'Address of the DNS server, UDP and TCP; empty: all interfaces.',
    flag: { name: 'dns-host', value: 'ADDRESS' },
    commands: naming,
  }),
  'naming.dns_port': setting(port, 8053, {
    doc: 'Port of the DNS server, UDP and TCP; 0 is any free one.',
    flag: { name: 'dns-port', value: 'PORT' },
    commands: naming,
  }),
  'naming.zones': setting(zones, ['backend.com'], {
    doc: 'Domains that the DNS server answers for: what is registered in others is known over REST and the broker only.',
    flag: { name: 'zone', value: 'DOMAIN', repeatable: true },
    commands: naming,
  }),
  'naming.dns_rate': setting(integer(0, 1_000_000), 200, {
    doc: 'DNS answers a second over UDP to one address (of IPv6 one /64 network), after a burst of twice as many; more: half get a short answer that sends them to TCP, half none. 0: as many as are asked for.',
    commands: naming,
  }),
  'naming.lease_ms': setting(duration(100, DAY), 3000, {
    doc: 'Time after which a server that does not renew counts as gone; a renewal is due every third of it.',
    commands: naming,
  }),
  'member.name': setting(optional(text), undefined, {
    doc: "What this member is called, for people; none: the machine's name.",
    flag: { name: 'name', value: 'NAME' },
    commands: members,
  }),
  'member.invite_file': setting(optional(text), undefined, {
    doc: 'File with an invite (warren invite --to FILE), for a home that has not joined: it does so first, and waits for the file if it is not there yet.',
    flag: { name: 'invite-file', value: 'FILE' },
    commands: members,
  }),
  'member.host': setting(listenHost, '', {
    doc: "Address of the member's gRPC server for other members (mutual TLS); empty: all interfaces.",
    flag: { name: 'host', value: 'ADDRESS' },
    commands: members,
  }),
  'member.port': setting(optional(port), undefined, {
    doc: 'Its port; 0 is any free one; none: the first free one from 50051 to 50100.',
    flag: { name: 'port', value: 'PORT' },
    commands: members,
  }),
  'member.advertise': setting(list(text), [], {
    doc: 'Where other members can dial this one, HOST or HOST:PORT, best first; none: the address listened on, or that of the interface towards the broker.',
    flag: { name: 'advertise', value: 'ADDRESS', repeatable: true },
    commands: members,
  }),
  'member.directory_url': setting(optional(httpUrl), undefined, {
    doc: "The directory's REST, for a member that is to reach it so, with the account's password; none: over the broker, without.",
    flag: { name: 'directory-url', value: 'URL' },
    commands: members,
    sensitive: 'urls',
  }),
  'member.password': setting(optional(text), undefined, {
    doc: "Of the member's account in the directory, for member.directory_url. Flags show in `ps`: better in the environment or the file.",
    commands: members,
    sensitive: 'password',
  }),
  'member.env_files': setting(list(text), [], {
    doc: "The origin's .env files of a peer (ENV_CLIENT and ENV_SERVER): PSERVER_URL, PSERVER_PORT, PSERVER_LOCAL_URL, SERVER_URL, SERVER_PORT. They count as a settings file.",
    flag: { name: 'env-file', value: 'FILE', repeatable: true },
    commands: sharing,
  }),
  'member.share': setting(optional(text), undefined, {
    doc: 'Folder whose files are shared with other members, and where downloads go; none: `share` in the data directory.',
    flag: { name: 'share', value: 'DIR' },
    commands: sharing,
  }),
  'member.locate': setting(choice('both', 'directory', 'ring'), 'both', {
    doc: 'Where members that have a file are looked for by its id: both asks the directory and the ring at once, and one that answers is enough. Names and words the directory alone knows. What is shared is told to both in any case.',
    flag: { name: 'locate', value: 'WHERE' },
    commands: sharing,
  }),
  'member.samples': setting(optional(integer(1, 3)), undefined, {
    doc: 'Which of three sets of sample files is put into the share when member.invite_file lets the machine join; none: none.',
    commands: sharing,
  }),
  'member.origin_port': setting(optional(port), undefined, {
    doc: "Port on 127.0.0.1 where the origin's own clients (gRPC service PServer, without encryption) are served: whoever has an account on this machine can use it. 0 is any free one; none: not served.",
    flag: { name: 'origin-port', value: 'PORT' },
    commands: sharing,
  }),
  'chat.name': setting(domain, 'backend.com', {
    doc: "The chat that the member takes part in: one of the network's (directory.chats).",
    flag: { name: 'server-uri', value: 'NAME' },
    commands: chatting,
  }),
  'chat.found': setting(flag, true, {
    defaultFor: { chat: false },
    doc: 'Whether the member begins the chat where nobody has yet; with one that has begun it is a latent server like any other.',
    flag: { name: 'found', value: '', isSwitch: true },
    commands: chatting,
  }),
  'chat.min_n': setting(integer(0, 1_000), 0, {
    doc: 'Members that have to be there before anybody talks, in a chat that this member begins.',
    flag: { name: 'min-n', value: 'N' },
    commands: chatting,
  }),
  'chat.migrate_every_ms': setting(duration(0, DAY), 30_000, {
    doc: "How often the chat's server moves to a member chosen at random, while this one serves; 0: never.",
    flag: { name: 'migrate-every', value: 'TIME' },
    commands: chatting,
  }),
  'chat.dns_ip': setting(optional(listenHost), undefined, {
    doc: "Where naming's REST is, to be told who serves, with chat.naming_token; none: naming is reached over the broker, as the member itself.",
    flag: { name: 'chat-dns-ip', value: 'ADDRESS' },
    commands: chatting,
  }),
  'chat.dns_port': setting(port, 8000, {
    doc: 'Its port.',
    flag: { name: 'chat-dns-port', value: 'PORT' },
    commands: ['member', 'chat'],
  }),
  'chat.naming_token': setting(optional(text), undefined, {
    doc: 'Who may write there (`naming/token` in its data directory); without it nothing is told.',
    commands: chatting,
    sensitive: 'password',
  }),
  'chat.history_bytes': setting(bytes(MiB, 1024 * GiB), GiB, {
    doc: "Size of the chat's history on this machine, beyond which the oldest messages go.",
    commands: chatting,
  }),
  'chat.history_ms': setting(duration(DAY, 10 * 365 * DAY), 365 * DAY, {
    doc: 'Time after which a message leaves the history on this machine.',
    commands: chatting,
  }),
  'chat.only': setting(flag, false, {
    defaultFor: { chat: true },
    doc: 'Whether the daemon hosts the chat and nothing else: no files, no ring.',
    commands: members,
  }),
  'chord.only': setting(flag, false, {
    defaultFor: { chord: true },
    doc: 'Whether the daemon hosts its node of the ring and nothing else: no files.',
    flag: { name: 'ring-only', value: '', isSwitch: true },
    commands: members,
  }),
  'chord.join': setting(list(text), [], {
    doc: 'Members to enter the ring through, HOST:PORT of their gRPC servers; none: those that the directory names.',
    flag: { name: 'join', value: 'ADDRESS', repeatable: true },
    commands: members,
  }),
  'chord.virtual_nodes': setting(integer(1, 20), 1, {
    doc: 'Places of this member on the ring: more of them spread keys more evenly, and cost as many times the upkeep.',
    flag: { name: 'virtual-nodes', value: 'N' },
    commands: members,
  }),
  'chord.host': setting(listenHost, '127.0.0.1', {
    doc: "Address of the ring's REST; it asks for no password, so whoever reaches it may read and write. Empty: all interfaces.",
    flag: { name: 'ring-host', value: 'ADDRESS' },
    commands: members,
  }),
  'chord.port': setting(optional(port), undefined, {
    doc: 'Its port; 0 is any free one; none: the first free one from 7001 to 7100.',
    flag: { name: 'ring-port', value: 'PORT' },
    commands: members,
  }),
} as const satisfies Record<string, Setting<unknown>>;

export type SettingKey = keyof typeof settings;

export type ValueOf<K extends SettingKey> = (typeof settings)[K] extends Setting<infer T> ? T : never;

export const settingKeys: readonly SettingKey[] = Object.keys(settings).filter(isSettingKey);

export function isSettingKey(key: string): key is SettingKey {
  return Object.hasOwn(settings, key);
}

/** A row without its value's type, for code that treats all alike. */
export function settingOf(key: SettingKey): Setting<unknown> {
  return settings[key];
}

/** The environment variable of a setting. */
export function envName(key: SettingKey): string {
  return settingOf(key).env ?? `WARREN_${key.replace('.', '_').toUpperCase()}`;
}

/** The environment variable with the name of a file that holds the value. */
export function fileVariable(key: SettingKey): string {
  return `${envName(key)}_FILE`;
}

/** The default's text, as one would write it. */
export function defaultText(key: SettingKey, command: CommandName): string {
  const row = settingOf(key);
  return row.format.format(row.defaultFor?.[command] ?? row.default);
}
