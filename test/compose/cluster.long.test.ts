import { afterAll, beforeAll, expect, test } from 'vitest';
import { docker } from '../../services/up/docker.ts';
import { until } from '../support/until.ts';
import { disturbance, get, type Post, startClients } from './clients.ts';
import { activeMembers, listMembers } from './members.ts';
import { composeProject, type Project } from './project.ts';

let project: Project;
const posts: Post[] = [];

beforeAll(async () => {
  project = await composeProject({ profile: 'cluster' });
  await project.compose('build', '--quiet');
  await project.compose('up', '--detach', '--wait');
}, 300_000);

afterAll(() => project?.[Symbol.asyncDispose](), 90_000);

/** What each of the three replicas of the form shows, by the backend's name. */
async function lists(): Promise<string[][]> {
  const found: string[][] = [];
  for (const service of ['backend-1', 'backend-2', 'backend-3']) {
    const ask = `fetch('http://127.0.0.1:3000/api/messages').then(r => r.text()).then(console.log)`;
    const list: unknown = JSON.parse(await project.exec(service, 'node', '-e', ask));
    found.push(Array.isArray(list) ? list.map(({ text }) => String(text)) : []);
  }
  return found;
}

async function rabbitmqctl(...args: string[]): Promise<string> {
  return project.exec('rabbitmq-2', 'rabbitmqctl', '--quiet', ...args);
}

test('every shared queue has a replica on each of the three nodes', async () => {
  const text = await rabbitmqctl('list_queues', '--formatter', 'json', 'name', 'type', 'members');
  const queues = JSON.parse(text) as { name: string; type: string; members: string[] }[];
  const shared = queues.filter(({ name }) => !name.startsWith('amq.gen-'));
  expect(shared.map(({ name, type, members }) => `${name} ${type} ${members.length}`).sort()).toEqual([
    'demo.posts stream 3',
    'directory.enrol quorum 3',
    'directory.index quorum 3',
    'directory.rpc quorum 3',
    'proxy.jobs.web quorum 3',
  ]);
});

test('a node that is killed under load: requests recover within 5 s, and nothing confirmed is lost', async () => {
  const clients = startClients(project.urls, { count: 8, posts: 150 });
  await until(
    () => clients.posts.filter(({ status }) => status === 201).length,
    count => count >= 20,
  );
  const ids = (await activeMembers(project, 3)).map(({ id }) => id);
  const leaders = JSON.parse(await rabbitmqctl('list_queues', '--formatter', 'json', 'name', 'leader'));
  const jobs = (leaders as { name: string; leader: string }[]).find(({ name }) => name === 'proxy.jobs.web');
  const victim = jobs?.leader.replace('rabbit@', '') ?? '';
  const killedAt = performance.now();
  await docker(['kill', project.container(victim)]);
  await until(
    () => clients.posts.length,
    count => count === 150,
    60_000,
  );
  await clients.stop();
  const { gapMs, failed } = disturbance(clients.gets, killedAt);
  const slowestMs = Math.max(...clients.gets.filter(({ at }) => at >= killedAt).map(({ ms }) => ms));
  const lastFailure = Math.max(0, ...failed.map(({ at }) => at - killedAt));
  console.log(
    `${victim} killed: no answer for ${(gapMs / 1000).toFixed(2)} s at most, the slowest took ${(slowestMs / 1000).toFixed(2)} s, ${failed.length} of ${clients.gets.length} GETs failed, ` +
      `the last ${(lastFailure / 1000).toFixed(2)} s after it`,
  );
  expect(gapMs).toBeLessThan(5_000);
  expect(slowestMs).toBeLessThan(5_000);
  expect(lastFailure).toBeLessThan(5_000);
  posts.push(...clients.posts);
  const confirmed = posts.filter(({ status }) => status === 201).map(({ text }) => text);
  console.log(`${confirmed.length} of 150 posts were confirmed`);
  expect(confirmed.length).toBeGreaterThan(100);
  await until(lists, found => found.every(list => confirmed.every(text => list.includes(text))), 30_000);
  // It was gone all the while.
  expect(await docker(['inspect', '--format', '{{.State.Status}}', project.container(victim)])).toBe('exited');
  await docker(['start', project.container(victim)]);
  await until(
    () => project.isWell(victim),
    isWell => isWell,
    60_000,
  );
  expect((await activeMembers(project, 3)).map(({ id }) => id)).toEqual(ids);
}, 180_000);

function isMember(service: string): boolean {
  return service.startsWith('member-');
}

function idOf(service: string): Promise<string> {
  return docker(['inspect', '--format', '{{.Id}}', project.container(service)]);
}

test('every container is replaced, one after the other, and no GET fails', async () => {
  const services = (await project.compose('config', '--services'))
    .trim()
    .split('\n')
    .filter(service => !service.startsWith('accounts') && service !== 'invites')
    .sort();
  expect(services).toHaveLength(16);
  const ids = (await listMembers(project)).map(({ id }) => id);
  const clients = startClients(project.urls, { count: 8, posts: 0 });
  const failures: string[] = [];
  // No request passes through members: those go at once.
  const steps = [
    ...services.filter(service => !isMember(service)).map(service => [service]),
    services.filter(isMember),
  ];
  for (const step of steps) {
    const since = performance.now();
    const before = await Promise.all(step.map(idOf));
    await project.compose('up', '--detach', '--no-deps', '--force-recreate', ...step);
    await until(
      () => Promise.all(step.map(service => project.isWell(service))),
      all => all.every(Boolean),
      60_000,
    );
    for (const id of await Promise.all(step.map(idOf))) expect(before).not.toContain(id);
    const service = step.join(', ');
    const { gapMs, failed } = disturbance(clients.gets, since);
    const turned = clients.gets.filter(({ at, failedOver }) => at >= since && failedOver).length;
    console.log(
      `${service} replaced in ${((performance.now() - since) / 1000).toFixed(1)} s, longest silence ${gapMs.toFixed(0)} ms`,
    );
    failures.push(...failed.map(({ status, body }) => `${service}: ${status} ${body}`));
    if (turned > 0 && !service.startsWith('proxy')) failures.push(`${service}: ${turned} asked the other proxy`);
  }
  await clients.stop();
  expect((await activeMembers(project, 3)).map(({ id }) => id)).toEqual(ids);
  console.log(`${clients.gets.length} GETs while ${services.length} containers were replaced`);
  expect(failures).toEqual([]);
}, 300_000);

test('what was confirmed is still there', async () => {
  const confirmed = posts.filter(({ status }) => status === 201).map(({ text }) => text);
  await until(lists, found => found.every(list => confirmed.every(text => list.includes(text))), 30_000);
  expect((await get(project.urls, '/')).status).toBe(200);
});

test('leaves nothing behind', async () => {
  await project.compose('down', '--volumes');
  expect(await project.left()).toEqual([]);
}, 90_000);
