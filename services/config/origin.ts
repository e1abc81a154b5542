import { backendUrl } from './address.ts';
import type { FileLayer, FileSource } from './file.ts';
import type { IniEntry, IniFile } from './ini.ts';
import { suggestion } from './nearest.ts';
import { createRoute } from './route.ts';
import type { SettingKey } from './settings.ts';

/** The port of the origin's instances, which its settings file does not say. */
const ORIGIN_BACKEND_PORT = 8080;

/** Keys that mean one of our settings, in the same unit. `max_conn` went to listen(2) there, so it is the backlog. */
const direct = {
  port: 'proxy.port',
  max_conn: 'proxy.backlog',
  buffer_size: 'proxy.header_limit',
} as const satisfies Record<string, SettingKey>;

const known = [...Object.keys(direct), 'ttl', 'ip_server1'];

/** The origin's files have one section, `[DEFAULT]`; ours have none of that name. */
export function isOriginFile(ini: IniFile): boolean {
  return ini.sections.some(({ name }) => name.toUpperCase() === 'DEFAULT');
}

/**
 * Translates the settings file of the origin's proxy (ORIGINS.md, A), as its `parser.py` writes it: one route `/` to
 * `web` with its ttl, and a worker for its servers, in the order of their numbers. Keys count in any letter case, as
 * they do for Python's configparser. Pure.
 */
export function readOriginSettings(file: string, ini: IniFile): FileLayer {
  const problems = ini.problems.map(({ line, message }) => `${file}:${line}: ${message}`);
  const values = new Map<SettingKey, { text: string; source: FileSource }>();
  const servers: { number: number; url: string; source: FileSource }[] = [];
  const fields = new Map<'service' | 'ttl', string>([['service', 'web']]);
  const seen = new Set<string>();
  const head = ini.sections.find(({ name }) => name.toUpperCase() === 'DEFAULT');
  let ttl: IniEntry | undefined;

  for (const { name, line } of ini.sections) {
    if (name.toUpperCase() !== 'DEFAULT') {
      problems.push(
        `${file}:${line}: [${name}] has no place beside [DEFAULT], which makes this an origin's settings file`,
      );
    }
  }
  for (const entry of ini.entries) {
    if (entry.section.toUpperCase() !== 'DEFAULT') continue;
    const key = entry.key.toLowerCase();
    const source: FileSource = { kind: 'file', file, line: entry.line, key };
    const number = /^ip_server(\d{1,6})$/.exec(key)?.[1];
    // Spelled differently but the same key: `ip_server1` and `IP_SERVER01`.
    const identity = number === undefined ? key : `ip_server${Number(number)}`;
    if (seen.has(identity)) problems.push(`${file}:${entry.line}: ${key} is set twice`);
    seen.add(identity);
    if (Object.hasOwn(direct, key)) values.set(direct[key as keyof typeof direct], { text: entry.value, source });
    else if (key === 'ttl') {
      ttl = entry;
      fields.set('ttl', entry.value);
    } else if (number !== undefined) {
      try {
        servers.push({ number: Number(number), url: backendUrl(entry.value, ORIGIN_BACKEND_PORT), source });
      } catch (error) {
        problems.push(`${file}:${entry.line}: ${key} ${(error as Error).message}, not ${JSON.stringify(entry.value)}`);
      }
    } else problems.push(`${file}:${entry.line}: unknown setting ${key}${suggestion(key, known)}`);
  }

  const route = createRoute('web', fields, (field, message) => {
    problems.push(`${file}:${ttl?.line ?? 1}: ${field} ${message}, not ${JSON.stringify(ttl?.value)}`);
  });
  servers.sort((a, b) => a.number - b.number);
  const [first] = servers;
  if (first !== undefined) {
    values.set('worker.service', { text: 'web', source: first.source });
    values.set('worker.upstream', { text: servers.map(({ url }) => url).join(','), source: first.source });
  } else if (problems.length === 0) {
    problems.push(`${file}:${head?.line ?? 1}: ip_server1 is missing: the file names no server`);
  }
  const at: FileSource = { kind: 'file', file, line: ttl?.line ?? head?.line ?? 1, key: 'ttl' };
  return { values, routes: route && { value: [route], source: at }, origin: true, problems };
}
