import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Children } from '../children.ts';
import { freePorts } from '../ports.ts';
import type { Contestant } from './contestant.ts';
import { useProgram } from './used.ts';

/** "rsync 3.5.0"; undefined where there is none. */
export function rsyncVersion(): string | undefined {
  try {
    return /rsync\s+version (\S+)/.exec(execFileSync('rsync', ['--version'], { encoding: 'latin1' }))?.[1];
  } catch {
    return undefined;
  }
}

/** `rsync` from its own daemon, without encryption; it checks each whole file by its own checksum. @param home for settings */
export function rsync(children: Children, home: string): Contestant {
  return {
    key: 'rsync',
    name: 'rsync from its daemon',
    mostSources: 1,
    takesFolders: true,
    route: 'direct',
    async start(dir) {
      const [port = 0] = await freePorts(1);
      const settings = join(home, `rsyncd-${port}.conf`);
      // As whoever runs the bench, without a file of its own outside of `home`.
      const own = `use chroot = no\nuid = ${process.getuid?.()}\ngid = ${process.getgid?.()}\n`;
      const paths = `pid file = ${join(home, `rsyncd-${port}.pid`)}\nlock file = ${join(home, `rsyncd-${port}.lock`)}\n`;
      writeFileSync(settings, `${own}${paths}[share]\npath = ${dir}\nread only = yes\n`);
      const flags = ['--daemon', '--no-detach', '--address=127.0.0.1', `--port=${port}`, `--config=${settings}`];
      const { pid } = children.start('rsync daemon', 'rsync', [...flags, `--log-file=${settings}.log`]);
      await untilDialled(port);
      return { address: `127.0.0.1:${port}`, pids: [pid] };
    },
    fetch([address], { name }, to) {
      return useProgram(children, 'rsync', ['--recursive', '--times', `rsync://${address}/share/${name}`, to]);
    },
  };
}

async function untilDialled(port: number): Promise<void> {
  const dial = (): Promise<boolean> =>
    new Promise(resolve => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      }).on('error', () => resolve(false));
    });
  for (let tries = 0; tries < 100; tries++) {
    if (await dial()) return;
    await delay(50);
  }
  throw new Error('the rsync daemon does not listen');
}
