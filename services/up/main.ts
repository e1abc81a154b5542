import { relative } from 'node:path';
import { managementUrls } from '../bus/accounts/management-url.ts';
import { createBus } from '../bus/amqp-bus.ts';
import type { Bus } from '../bus/bus.ts';
import { roles } from '../bus/topology.ts';
import type { Run } from '../cli/io.ts';
import { startReplicas } from '../demo/replicas.ts';
import { brokerPlaces } from '../directory/broker-places.ts';
import { startDirectory } from '../directory/service.ts';
import { shortId } from '../lib/identity/member-id.ts';
import { aborted } from '../lib/stop.ts';
import { startNaming } from '../naming/service.ts';
import { startProxy } from '../proxy/proxy.ts';
import { startWorker } from '../worker/worker.ts';
import { chooseBroker } from './choose-broker.ts';
import { lockHome } from './lock.ts';
import { closeMembers, isShared, startMembers } from './members.ts';
import { choiceOf, dataDirOf } from './with-broker.ts';

const memberPort = 50_051;
/** Ctrl-C must have ended everything, the broker included, within 5 s. */
const drainMs = 1_000;

/** `warren up`: broker, proxy, sample backends and their workers, directory, naming, three members that chat, all in this process (but for a broker of another kind). */
export const run: Run = async (config, stop, io) => {
  const ends: (() => Promise<void>)[] = [];
  const dataDir = dataDirOf(config, io);
  const lock = await lockHome(dataDir);
  ends.push(() => lock.release());
  const clock = (): number => performance.now();
  const log = (line: string): void => io.err(`${line}\n`);
  const bus = async (name: string, role: Parameters<typeof createBus>[0]['role']): Promise<Bus> => {
    const made = createBus({ urls: broker.urls, name: `warren ${name}`, role }, line => log(`${name}: ${line}`));
    ends.push(() => made.close(drainMs));
    await made.ready(stop);
    return made;
  };
  let broker: Awaited<ReturnType<typeof chooseBroker>>;

  try {
    broker = await chooseBroker({ ...choiceOf(config, io), signal: stop });
    ends.push(() => broker.close());
    const { queueType } = config.broker;

    const demo = await startReplicas({ brokerUrls: broker.urls, ports: config.demo.ports }, log);
    ends.push(() => demo.close());
    await demo.connected;

    const services = [...new Set(config.routes.map(route => route.service))];
    const proxyBus = await bus('proxy', roles.proxy(services, queueType));
    const host = config.proxy.host === '' ? '127.0.0.1' : config.proxy.host;
    const proxy = await startProxy(
      { bus: proxyBus, write: io.out, warn: line => log(`proxy: ${line}`), clock },
      { ...config, proxy: { ...config.proxy, host } },
    );
    ends.push(() => proxy.close(drainMs));

    const service = 'web';
    for (const { name, url } of demo.replicas) {
      const workerBus = await bus(`worker of ${name}`, roles.worker(service, queueType));
      const worker = await startWorker(
        { bus: workerBus, clock, log },
        { ...config.worker, service, upstream: [url], queueType },
      );
      ends.push(() => worker.close(drainMs));
    }

    const directory = await startDirectory(
      {
        bus: await bus('directory', roles.directory(queueType, config.directory.chats)),
        now: () => Date.now(),
        clock,
        warn: line => log(`directory: ${line}`),
      },
      {
        ...config.directory,
        dataDir,
        queueType,
        brokerUrls: brokerPlaces({ address: config.broker.address, url: broker.urls }),
        accountsUrl: config.broker.httpUrl ?? broker.http ?? managementUrls({ url: broker.urls }),
      },
    );
    ends.push(() => directory.close());

    const naming = await startNaming(
      {
        bus: await bus('naming', roles.naming(queueType)),
        ...{ now: () => Date.now(), clock, random: () => Math.random(), warn: line => log(`naming: ${line}`) },
      },
      { ...config.naming, dataDir, queueType },
    );
    ends.push(() => naming.close());

    const members = await startMembers(
      { invite: username => directory.invite({ days: 1, services: [], username }), log, signal: stop },
      { dataDir, brokerUrls: broker.urls, port: memberPort, chat: config.chat },
    );
    ends.push(() => closeMembers(members));

    const rows = [
      ['broker', broker.describe],
      ['proxy', `${config.proxy.tlsCert === undefined ? 'http' : 'https'}://localhost:${proxy.port}`],
      ['admin', `http://localhost:${proxy.adminPort}/api/status (also /livez /readyz /metrics)`],
      ...demo.replicas.map(({ name, url }) => [name, `${url}, with a worker for service ${service}`]),
      ['directory', `${directory.url} (/openapi.json)`],
      ['naming', `${naming.url} (/openapi.json); dig @127.0.0.1 -p ${naming.dnsPort} ${config.chat.name}`],
      ...members.map(({ name, dataDir: home, member }) => [
        name,
        `member ${shortId(member.id)}, gRPC on port ${member.port}; its home for --data: ${relative(io.cwd, home)}`,
      ]),
    ];
    for (const [what = '', where = ''] of rows) io.out(`  ${what.padEnd(10)} ${where}\n`);
    const [first] = members;
    const sample = 'rabbit-scale.wav';
    if (first !== undefined) io.out(`  chat       warren chat --data ${relative(io.cwd, first.dataDir)}\n`);
    if (first !== undefined && (await isShared(members, sample, stop)))
      io.out(`  try        warren files get ${sample} --data ${relative(io.cwd, first.dataDir)}\n`);
    io.out('warren is up\n');
    await aborted(stop);
    io.err('stopping\n');
  } catch (error) {
    // Stopped while starting: what failed, failed because of that.
    if (!stop.aborted) throw error;
  } finally {
    for (const end of ends.reverse()) await end();
  }
};
