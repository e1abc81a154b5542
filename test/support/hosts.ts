import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Machines of a network of their own: a namespace each, on one switch, with no way out. As on an office's guest network, a port of
 * the switch can be isolated: such machines reach those that are not, and not each other.
 */
export interface Hosts extends AsyncDisposable {
  /** Of the host of that number, counted from 0. */
  address(host: number): string;
  /** What to begin a command with that is to run on it. */
  on(host: number): readonly string[];
  isolate(host: number): Promise<void>;
  admit(host: number): Promise<void>;
  unplug(host: number): Promise<void>;
  plug(host: number): Promise<void>;
}

/** Undefined when they can be had; else why not. */
export async function whyNoHosts(): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'network namespaces need root on Linux';
  return await run('ip', ['-V']).then(
    () => undefined,
    () => 'there is no `ip` (package iproute2)',
  );
}

let made = 0;

export async function createHosts(count: number): Promise<Hosts> {
  const prefix = `warren-${process.pid}-${made++}`;
  const name = (host: number): string => `${prefix}-${host}`;
  const hub = `${prefix}-switch`;
  const ip = async (...args: string[]): Promise<void> => void (await run('ip', args));
  const hubLink = (host: number, ...change: string[]): Promise<void> =>
    ip('-n', hub, 'link', 'set', `port${host}`, ...change);

  const spaces: string[] = [];
  const add = async (space: string): Promise<void> => {
    await ip('netns', 'add', space);
    spaces.push(space);
    await ip('-n', space, 'link', 'set', 'lo', 'up');
  };
  const end = async (): Promise<void> => {
    for (const space of spaces.splice(0).reverse()) await ip('netns', 'del', space);
  };
  const address = (host: number): string => `10.77.0.${host + 11}`;
  try {
    await add(hub);
    await ip('-n', hub, 'link', 'add', 'bridge', 'type', 'bridge');
    await ip('-n', hub, 'link', 'set', 'bridge', 'up');
    for (let host = 0; host < count; host++) {
      const space = name(host);
      await add(space);
      await ip('link', 'add', 'eth0', 'netns', space, 'type', 'veth', 'peer', 'name', `port${host}`, 'netns', hub);
      await hubLink(host, 'master', 'bridge', 'up');
      await ip('-n', space, 'addr', 'add', `${address(host)}/24`, 'dev', 'eth0');
      await ip('-n', space, 'link', 'set', 'eth0', 'up');
    }
  } catch (error) {
    await end();
    throw error;
  }
  return {
    address,
    on: host => ['ip', 'netns', 'exec', name(host)],
    isolate: host => hubLink(host, 'type', 'bridge_slave', 'isolated', 'on'),
    admit: host => hubLink(host, 'type', 'bridge_slave', 'isolated', 'off'),
    unplug: host => hubLink(host, 'down'),
    plug: host => hubLink(host, 'up'),
    [Symbol.asyncDispose]: end,
  };
}
