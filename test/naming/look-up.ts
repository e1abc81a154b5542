import { Resolver } from 'node:dns/promises';

/** What the resolver of Node (c-ares) finds: the data of the records, on one line; '' for none. */
export async function lookUp(port: number, name: string, type: 'A' | 'TXT'): Promise<string> {
  const resolver = new Resolver({ timeout: 3_000, tries: 3 });
  resolver.setServers([`127.0.0.1:${port}`]);
  const asked: Promise<string[] | string[][]> = type === 'A' ? resolver.resolve4(name) : resolver.resolveTxt(name);
  const found = await asked.catch(error => {
    if (['ENODATA', 'ENOTFOUND'].includes(error.code)) return [];
    throw error;
  });
  return found.flat().join(' ');
}
