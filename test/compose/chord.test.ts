import { afterAll, beforeAll, expect, test } from 'vitest';
import { docker } from '../../services/up/docker.ts';
import { until } from '../support/until.ts';
import { composeProject, type Project } from './project.ts';

let project: Project;

beforeAll(async () => {
  project = await composeProject({ profile: 'chord' });
  await project.compose('build', '--quiet');
  await project.compose('up', '--detach', '--wait', 'nodo1', 'nodo2', 'nodo3');
}, 600_000);

afterAll(() => project?.[Symbol.asyncDispose](), 90_000);

interface Shown {
  readonly nodes: { readonly memberId: string; readonly addresses: readonly string[] }[];
  readonly isWhole: boolean;
}

async function shown(nodo: string): Promise<Shown> {
  return (await (await fetch(`${nodo}/ring`)).json()) as Shown;
}

async function ringOf(count: number): Promise<Shown> {
  const [first = ''] = project.nodos;
  return until(
    () => shown(first),
    ({ nodes, isWhole }) => isWhole && nodes.length >= count,
    60_000,
  );
}

test('nodo1, nodo2 and nodo3 form a ring at the addresses and ports of the origin', async () => {
  const { nodes } = await ringOf(3);
  const { WARREN_NET: net = '' } = Object.fromEntries(
    (await docker(['inspect', '--format', '{{range .Config.Env}}{{println .}}{{end}}', project.container('nodo2')]))
      .split('\n')
      .map(line => [
        line.startsWith('WARREN_CHORD_JOIN=') ? 'WARREN_NET' : '',
        line.slice(18).replace('.0.2:2000', ''),
      ]),
  );
  const addresses = nodes.flatMap(node => node.addresses);
  for (const each of ['0.2:2000', '0.3:3000', '0.4:4000']) expect(addresses).toContain(`${net}.${each}`);
});

test('what one keeps the others give, over REST', async () => {
  const [first, second, third] = project.nodos;
  const body = new TextEncoder().encode('hola');
  const put = await fetch(`${first}/keys/saludo`, { method: 'PUT', body });
  expect(put.status).toBe(200);
  for (const nodo of [second, third]) expect(await (await fetch(`${nodo}/keys/saludo`)).text()).toBe('hola');
});

test('a client runs beside them with its menu, as a node of its own at .5, and leaves when it ends', async () => {
  // Others may be members as well: those of `up` that came along.
  const before = (await ringOf(3)).nodes.length;
  const said = await project.composeWith(
    '4\nsaludo\n3\ndespedida\nadios\n1\n0\n',
    ...['run', '--rm', '--no-TTY', 'chord-client'],
  );
  expect(said).toContain('hola');
  expect(said).toMatch(/kept at [0-9a-f]{40}/);
  expect(said).toMatch(new RegExp(`${before + 1} nodes`));
  expect(said).toMatch(/\.0\.5:2000/);
  const [first = ''] = project.nodos;
  await until(
    () => shown(first),
    ({ nodes }) => nodes.length === before,
    30_000,
  );
  expect(await (await fetch(`${first}/keys/despedida`)).text()).toBe('adios');
}, 240_000);

test('nothing of it is open to the world', async () => {
  const ports = await docker(['ps', '--filter', `name=${project.name}-nodo`, '--format', '{{.Ports}}']);
  const open = ports.split(/[\n,]/).filter(port => port.includes('->') && !port.trim().startsWith('127.0.0.1:'));
  expect(open).toEqual([]);
});
