#!/usr/bin/env node
// Plain JavaScript that an old Node parses too: it has to live long enough to say what is missing. Nothing is imported
// before the version is known.
const [major, minor] = process.versions.node.split('.').map(Number);

if (major < 24 || (major === 24 && minor < 15)) {
  process.stderr.write(
    `warren: needs Node 24.15 or later (https://nodejs.org), and this is ${process.versions.node}; a checkout brings its own: npm start, npx warren ...\n`,
  );
  process.exitCode = 1;
} else {
  start();
}

async function start() {
  const { existsSync } = await import('node:fs');
  const { enableCompileCache } = await import('node:module');
  const { fileURLToPath } = await import('node:url');
  const here = path => new URL(path, import.meta.url);
  // Types stripped and code compiled once, and kept: a third of the time from here to the first line. Beside the
  // dependencies and not in the system's /tmp, where others could put code; where it cannot be written, it does without.
  enableCompileCache(fileURLToPath(here('../node_modules/.cache/warren')));
  // A package holds compiled code only: Node strips no types below node_modules.
  const compiled = existsSync(here('../dist/services/cli/main.js')) && !existsSync(here('../services'));
  const { main } = await import(compiled ? '../dist/services/cli/main.js' : '../services/cli/main.ts');
  await main();
}
