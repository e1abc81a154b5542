import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { listen } from '../../services/lib/listen.ts';
import { randomHex } from '../../services/lib/random.ts';
import { until } from '../support/until.ts';
import { composeProject } from './project.ts';

const root = join(import.meta.dirname, '../..');

test("one's own service beside the samples, as the README says", async () => {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const [, yaml = ''] = /docker-compose\.override\.yml`\n\n```yaml\n(.*?)```/s.exec(readme) ?? [];
  const [, routes = ''] = /`WARREN_ROUTES=([^`]+)`/.exec(readme) ?? [];
  const shop = createServer((request, response) => response.end(`the shop has ${request.url}`));
  const port = await listen(shop, { host: '0.0.0.0', port: 0 });
  const file = `docker-compose.test-${randomHex(8)}.yml`;
  await writeFile(join(root, file), yaml.replace('host.docker.internal:9000', `host.docker.internal:${port}`));
  try {
    await using project = await composeProject({ files: [file], env: { WARREN_ROUTES: routes } });
    await project.compose('up', '--detach', '--quiet-pull');
    const ask = async (host: string): Promise<string> =>
      (
        await project.exec(
          'proxy',
          'node',
          '-e',
          `
        require('http').get({ port: 8080, path: '/x', headers: { host: '${host}' } }, r =>
          r.setEncoding('utf8').on('data', t => process.stdout.write(t)))`,
        )
      ).trim();
    expect(
      await until(
        () => ask('shop.localhost'),
        text => text.startsWith('the shop'),
        30_000,
      ),
    ).toBe('the shop has /x');
    expect(await ask('localhost')).toContain('There is nothing at /x');
    const accounts = await project.exec('shop-worker', 'find', '/run/warren/accounts/worker', '-name', 'broker_url');
    expect(accounts).toContain('/worker/shop/broker_url');
  } finally {
    shop.close();
    await rm(join(root, file));
  }
}, 180_000);
