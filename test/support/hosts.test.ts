import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { createHosts, type Hosts, whyNoHosts } from './hosts.ts';

const run = promisify(execFile);
const why = await whyNoHosts();

/** Nobody listens there: refused where there is a way, silence where there is none. */
async function reaches(hosts: Hosts, from: number, to: number): Promise<boolean> {
  const script = `exec 3<>/dev/tcp/${hosts.address(to)}/9`;
  const [program = '', ...args] = [...hosts.on(from), 'timeout', '3', 'bash', '-c', script];
  const error = await run(program, args).then(
    () => undefined,
    thrown => thrown as { stderr: string },
  );
  return error?.stderr.includes('refused') ?? true;
}

test.skipIf(why !== undefined)(`hosts reach each other, unless isolated or unplugged ${why ?? ''}`, async () => {
  await using hosts = await createHosts(3);
  expect(await reaches(hosts, 1, 2)).toBe(true);
  await hosts.isolate(1);
  await hosts.isolate(2);
  expect(await reaches(hosts, 1, 2)).toBe(false);
  expect(await reaches(hosts, 1, 0)).toBe(true);
  expect(await reaches(hosts, 2, 0)).toBe(true);
  await hosts.admit(2);
  expect(await reaches(hosts, 1, 2)).toBe(true);
  await hosts.unplug(2);
  expect(await reaches(hosts, 1, 2)).toBe(false);
  await hosts.plug(2);
  expect(await reaches(hosts, 1, 2)).toBe(true);
});
