import type { FileLayer, FileSource } from './file.ts';
import { suggestion } from './nearest.ts';
import { describeUnreadable } from './problem.ts';
import type { SettingKey } from './settings.ts';

const known = ['PSERVER_URL', 'PSERVER_PORT', 'PSERVER_LOCAL_URL', 'SERVER_URL', 'SERVER_PORT'] as const;
type Key = (typeof known)[number];

const usualDirectoryPort = 5_000;

interface Line {
  readonly text: string;
  readonly source: FileSource;
}

/**
 * Translates the `.env` files of the origin's peers (ORIGINS.md, B): ENV_CLIENT has PSERVER_URL (where others reach the peer),
 * PSERVER_PORT and PSERVER_LOCAL_URL, ENV_SERVER has SERVER_URL and SERVER_PORT (the directory's REST). The later file counts. Where its
 * own client reaches the peer is PSERVER_LOCAL_URL: with a port that is another one than PSERVER_PORT, it is served there, on loopback.
 */
export function readEnvFiles(
  paths: readonly string[],
  readFile: (path: string) => string,
): Pick<FileLayer, 'values' | 'problems'> {
  const problems: string[] = [];
  const given = new Map<Key, Line>();
  for (const file of paths) {
    try {
      readLines(file, readFile(file), given, problems);
    } catch (error) {
      problems.push(`--env-file ${file} ${describeUnreadable(error)}`);
    }
  }
  const values = new Map<SettingKey, Line>();
  const port = given.get('PSERVER_PORT');
  if (port !== undefined) values.set('member.port', port);
  const own = given.get('PSERVER_URL');
  if (own !== undefined) {
    const place = placeIn(own.text);
    if (place === undefined) problems.push(`${own.source.file}:${own.source.line}: ${wanted('PSERVER_URL')}`);
    // Without a port of its own it gets the one that is listened on.
    else
      values.set('member.advertise', { ...own, text: place.port === '' ? place.host : `${place.host}:${place.port}` });
  }
  const local = given.get('PSERVER_LOCAL_URL');
  if (local !== undefined) {
    const place = placeIn(local.text);
    if (place === undefined) problems.push(`${local.source.file}:${local.source.line}: ${wanted('PSERVER_LOCAL_URL')}`);
    // Members are served with TLS on the other one; one port cannot do both.
    else if (place.port !== '' && place.port !== port?.text)
      values.set('member.origin_port', { ...local, text: place.port });
  }
  const server = given.get('SERVER_URL');
  const serverPort = given.get('SERVER_PORT');
  if (server === undefined && serverPort !== undefined)
    problems.push(`${serverPort.source.file}:${serverPort.source.line}: SERVER_PORT stands without SERVER_URL`);
  if (server !== undefined) {
    const place = placeIn(server.text);
    if (place === undefined) problems.push(`${server.source.file}:${server.source.line}: ${wanted('SERVER_URL')}`);
    else {
      const at = serverPort?.text ?? (place.port || (place.hasScheme ? '' : String(usualDirectoryPort)));
      const text = `${place.scheme}://${place.host}${at === '' ? '' : `:${at}`}${place.path}`;
      values.set('member.directory_url', { ...server, text });
    }
  }
  return { values, problems };
}

function wanted(key: Key): string {
  return `${key} must be a host, host:port or an http:// URL`;
}

/** `KEY=value`, `export KEY=value`, quotes around the value, lines that begin with #, as python-dotenv reads them. */
function readLines(file: string, text: string, given: Map<Key, Line>, problems: string[]): void {
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const place = `${file}:${index + 1}`;
    const [, key = '', value = ''] = /^(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)$/.exec(line) ?? [];
    if (key === '') problems.push(`${place}: must be KEY=value`);
    else if (!isKnown(key)) problems.push(`${place}: unknown setting ${key}${suggestion(key, known)}`);
    else given.set(key, { text: unquoted(value), source: { kind: 'file', file, line: index + 1, key } });
  }
}

function isKnown(key: string): key is Key {
  return known.some(each => each === key);
}

function unquoted(value: string): string {
  const [, quoted] = /^(?:"([^"]*)"|'([^']*)')\s*(?:#.*)?$/.exec(value)?.filter(part => part !== undefined) ?? [];
  return quoted ?? value.replace(/\s+#.*$/, '').trim();
}

function placeIn(
  text: string,
): { scheme: string; host: string; port: string; path: string; hasScheme: boolean } | undefined {
  const hasScheme = /^https?:\/\//i.test(text);
  const url = URL.parse(hasScheme ? text : `http://${text}`);
  if (url === null || url.hostname === '' || url.username !== '' || url.search !== '' || url.hash !== '')
    return undefined;
  if (/\s/.test(text)) return undefined;
  // URL drops a port that is the scheme's usual one, which is none for gRPC.
  const port = /:(\d{1,5})(?:\/|$)/.exec(text.replace(/^https?:\/\//i, '').replace(/^\[[^\]]*\]/, ''))?.[1] ?? '';
  return {
    ...{ scheme: url.protocol.slice(0, -1), host: url.hostname, port, hasScheme },
    path: url.pathname.replace(/\/+$/, ''),
  };
}
