/** Run as a process by process.test.ts: `main` with commands that need no broker. */
import type { Command } from '../../services/cli/command.ts';
import { main } from '../../services/cli/main.ts';
import { Failure } from '../../services/lib/failure.ts';

function command(name: string, run: Command['run']): Command {
  return { name, summary: name, usage: '', settings: undefined, options: [], run };
}

function aborted(stop: AbortSignal): Promise<void> {
  return new Promise(resolve => stop.addEventListener('abort', () => resolve(), { once: true }));
}

const keepAlive = () => setInterval(() => {}, 1000);

await main({
  version: () => '0',
  commands: [
    command('wait', async (_argv, stop, io) => {
      keepAlive();
      io.out('waiting\n');
      await aborted(stop);
      io.out('stopped\n');
    }),
    command('stubborn', async (_argv, stop, io) => {
      keepAlive();
      io.out('waiting\n');
      await aborted(stop);
      io.out('stopping\n');
      await new Promise(() => {});
    }),
    command('chatter', async (_argv, stop, io) => {
      while (!stop.aborted) {
        io.out(`${'x'.repeat(1000)}\n`);
        await new Promise(resolve => setImmediate(resolve));
      }
      io.err('ended decently\n');
    }),
    command('crash', async (_argv, stop, io) => {
      keepAlive();
      setImmediate(() => {
        throw new Error('a bug');
      });
      await aborted(stop);
      io.out('stopped\n');
    }),
    command('reject', async () => {
      throw new Error('a bug\nof two lines');
    }),
    command('fail', async () => {
      throw new Failure('PORT_TAKEN', 'port 80 is taken');
    }),
  ],
});
