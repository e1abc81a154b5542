/**
 * Makes `dist/`, what the package and the image run: Node strips no types below node_modules. The same files at the same
 * places as in the checkout, compiled; what is no TypeScript (the sample form's page) is copied.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');

// What has been deleted or renamed must not live on in the package.
rmSync(dist, { recursive: true, force: true });
execFileSync(process.execPath, [tsc, '--project', join(import.meta.dirname, 'tsconfig.build.json')], {
  stdio: 'inherit',
});
cpSync(join(root, 'services'), join(dist, 'services'), {
  recursive: true,
  filter: path => statSync(path).isDirectory() || !path.endsWith('.ts'),
});
// What gRPC's reflection tells of.
cpSync(join(root, 'proto/gen/descriptors.binpb'), join(dist, 'proto/gen/descriptors.binpb'));
