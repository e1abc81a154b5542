import { readdir, readFile } from 'node:fs/promises';

/** Every process that has the text in its environment or its command line: what was started for a directory. */
export async function processesWith(text: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter(name => /^\d+$/.test(name))) {
    const [environment, command] = await Promise.all(
      ['environ', 'cmdline'].map(file => readFile(`/proc/${pid}/${file}`, 'latin1').catch(() => '')),
    );
    if (environment?.includes(text) || command?.includes(text))
      found.push(`${pid} ${command?.slice(0, 60).replaceAll('\0', ' ')}`);
  }
  return found;
}

/** Addresses that processes of this machine listen on, IPv4 and IPv6, with this port; as the kernel writes them. */
export async function listeningAddresses(port: number): Promise<string[]> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const tables = await Promise.all(['tcp', 'tcp6'].map(name => readFile(`/proc/net/${name}`, 'utf8')));
  return tables
    .flatMap(table => table.split('\n').slice(1))
    .map(line => line.trim().split(/\s+/))
    .filter(([, local, , state]) => state === '0A' && local?.endsWith(`:${hex}`))
    .map(([, local = '']) => local.split(':')[0] ?? '');
}

/** 127.0.0.1 and ::1 as the kernel writes them on this processor (little-endian). */
export const loopback = ['0100007F', '00000000000000000000000001000000'];
