import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const read = (name: string): string => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const dockerfile = read('Dockerfile');
const image = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));

test("the image's version is the package's", () => {
  const { version } = JSON.parse(read('package.json')) as { version: string };
  expect(dockerfile).toContain(`ARG WARREN_VERSION=${version}\n`);
});

test('the image is made for another processor without running anything on that', () => {
  expect(image).not.toMatch(/^RUN /m);
  for (const stage of dockerfile.split(/^FROM /m).slice(1, -1)) expect(stage).toMatch(/^--platform=\$BUILDPLATFORM /);
});

test('no dependency that runs has a binary of its own, or an install script that is let run', () => {
  const { allowScripts } = JSON.parse(read('package.json')) as { allowScripts: Record<string, boolean> };
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<
      string,
      { dev?: boolean; optional?: boolean; cpu?: string[]; os?: string[]; hasInstallScript?: boolean }
    >;
  };
  const native = Object.entries(packages)
    .filter(([, { dev, optional }]) => !dev && !optional)
    .filter(
      ([name, { cpu, os, hasInstallScript }]) =>
        cpu || os || (hasInstallScript && allowScripts[name.slice('node_modules/'.length)] !== false),
    );
  expect(native.map(([name]) => name)).toEqual([]);
});
