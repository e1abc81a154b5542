import { join, resolve } from 'node:path';
import type { BenchBroker } from './broker.ts';
import type { Children } from './children.ts';
import type { LoadGenerator } from './load.ts';
import { nginxVersion, startNginx } from './nginx.ts';
import { freePorts, untilOk } from './ports.ts';
import { startRawRpc } from './raw-rpc.ts';
import { httpSubject, type Subject } from './subject.ts';
import { startWarren } from './warren.ts';

export interface Stage {
  readonly children: Children;
  readonly load: LoadGenerator;
  /** Started at the first need of it. */
  readonly broker: () => Promise<BenchBroker>;
  /** Temporary. */
  readonly home: string;
  readonly isWanted: (key: string) => boolean;
  /** Another checkout, measured beside this one. */
  readonly against: string | undefined;
  readonly profiles: string | undefined;
}

/** Starts what is wanted, each service in a process of its own, and says who is who. */
export async function startSubjects(stage: Stage): Promise<Subject[]> {
  const { children, load, home, isWanted } = stage;
  const [backendPort = 0, plainPort = 0, passPort = 0, cachePort = 0] = await freePorts(4);
  const at = (port: number, path: string): string => `http://127.0.0.1:${port}${path}`;
  const backend = [children.startScript('backend', 'backend.ts', [`${backendPort}`]).pid];
  await untilOk(at(backendPort, '/'));
  const subjects: Subject[] = [];

  if (isWanted('a')) {
    const processes = { backend };
    subjects.push(httpSubject({ key: 'a', name: 'the backend itself', processes }, at(backendPort, '/'), load));
  }
  if (isWanted('b')) {
    const { pid } = children.startScript('plain proxy', 'plain-proxy.ts', [`${plainPort}`, `${backendPort}`]);
    await untilOk(at(plainPort, '/'));
    const processes = { proxy: [pid], backend };
    const proof = { field: 'via', holds: 'plain' };
    subjects.push(httpSubject({ key: 'b', name: 'plain Node proxy', processes }, at(plainPort, '/'), load, proof));
  }
  if ((isWanted('c-pass') || isWanted('c-cache')) && nginxVersion() !== undefined) {
    const ports = { pass: passPort, cache: cachePort, backend: backendPort };
    const { pid, failed } = startNginx(children, join(home, 'nginx'), ports);
    await Promise.race([untilOk(at(passPort, '/')), failed]);
    const processes = { proxy: [pid], backend };
    const pass = { key: 'c-pass', name: 'nginx proxy_pass', processes };
    const cache = { key: 'c-cache', name: 'nginx proxy_cache', processes };
    subjects.push(httpSubject(pass, at(passPort, '/'), load, { field: 'via', holds: 'nginx' }));
    subjects.push(httpSubject(cache, at(cachePort, '/cached'), load, { field: 'cache-status', holds: 'HIT' }));
  }
  subjects.push(...(await startWarrens(stage, at(backendPort, ''), backend)));
  if (isWanted('f')) {
    const broker = await stage.broker();
    const { caller, echo, run } = await startRawRpc(children, broker.url);
    subjects.push({
      key: 'f',
      name: 'request and reply over the bus',
      processes: { load: [caller.pid], worker: [echo.pid], broker: broker.pids },
      check: async () => {},
      run,
    });
  }
  return subjects.filter(({ key }) => isWanted(key));
}

async function startWarrens(stage: Stage, upstream: string, backend: readonly number[]): Promise<Subject[]> {
  const { children, load, home, isWanted, against, profiles } = stage;
  const own = { root: resolve(import.meta.dirname, '../..'), service: 'web', suffix: '' };
  const other = against === undefined ? [] : [{ root: against, service: 'web-other', suffix: '-other' }];
  const subjects: Subject[] = [];
  for (const { root, service, suffix } of [own, ...other]) {
    const keys = { uncached: `d${suffix}`, cached: `e${suffix}` };
    if (!isWanted(keys.uncached) && !isWanted(keys.cached)) continue;
    const broker = await stage.broker();
    const { url, proxy, worker } = await startWarren(children, {
      ...{ root, service, upstream, brokerUrl: broker.url, home: join(home, `warren${suffix}`) },
      ...(profiles === undefined ? {} : { profiles }),
    });
    const processes = { proxy: [proxy.pid], worker: [worker.pid], broker: broker.pids, backend };
    const name = suffix === '' ? 'Warren' : `Warren in ${root}`;
    const uncached = { key: keys.uncached, name, processes };
    const cached = { key: keys.cached, name: `${name}, cached`, processes };
    subjects.push(httpSubject(uncached, `${url}/`, load, { field: 'via', holds: 'warren' }));
    subjects.push(httpSubject(cached, `${url}/cached`, load, { field: 'cache-status', holds: 'warren; hit' }));
  }
  return subjects;
}
