import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Children, nextMessage } from '../children.ts';
import type { Contestant } from './contestant.ts';
import { useProgram } from './used.ts';

/** `curl` from a plain Node HTTP server. @param home for lists of URLs */
export function curl(children: Children, home: string): Contestant {
  return {
    key: 'http',
    name: 'curl from a Node HTTP server',
    mostSources: 1,
    takesFolders: true,
    route: 'direct',
    async start(dir) {
      const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] as ('ignore' | 'inherit' | 'ipc')[];
      const child = children.startScript('HTTP source', 'files/http-source.ts', [dir], { stdio });
      const { port } = (await nextMessage(child, 15_000)) as { port: number };
      return { address: `127.0.0.1:${port}`, pids: [child.pid] };
    },
    fetch([address], { files }, to) {
      for (const folder of new Set(files.map(file => dirname(join(to, file))))) mkdirSync(folder, { recursive: true });
      const list = join(home, 'curl.config');
      const line = (file: string): string => `url = "http://${address}/${file}"\noutput = "${join(to, file)}"\n`;
      writeFileSync(list, files.map(line).join(''));
      // Many files go one after the other over one connection: `--parallel` of curl 7.88 takes longer for 10,000.
      return useProgram(children, 'curl', ['--silent', '--show-error', '--fail', '--config', list]);
    },
  };
}
