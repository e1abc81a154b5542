import type { Source } from './config.ts';
import type { IniEntry, IniFile } from './ini.ts';
import { suggestion } from './nearest.ts';
import { createRoute, findDuplicate, isRouteField, type RouteField, type RouteSetting, routeFields } from './route.ts';
import { isSettingKey, type SettingKey, settingKeys } from './settings.ts';

export type FileSource = Extract<Source, { kind: 'file' }>;

/** What a settings file says, before anything is checked against its format (routes are, already). */
export interface FileLayer {
  readonly values: ReadonlyMap<SettingKey, { readonly text: string; readonly source: FileSource }>;
  readonly routes: { readonly value: readonly RouteSetting[]; readonly source: FileSource } | undefined;
  /** True: the origin's own settings file. */
  readonly origin: boolean;
  /** Lines for the user, each with file and key. */
  readonly problems: readonly string[];
}

const routeSection = /^route\.(.+)$/;

/** Reads our own settings file. Pure. */
export function readSettings(file: string, ini: IniFile): FileLayer {
  const problems = ini.problems.map(({ line, message }) => `${file}:${line}: ${message}`);
  const values = new Map<SettingKey, { text: string; source: FileSource }>();
  const sections = new Set(settingKeys.flatMap(key => (key.includes('.') ? [key.replace(/\..*/, '')] : [])));
  for (const { name, line } of ini.sections) {
    if (sections.has(name) || routeSection.test(name)) continue;
    problems.push(`${file}:${line}: unknown section [${name}]${suggestion(name, sections)}`);
  }
  for (const { section, key: name, value, line } of ini.entries) {
    if (!sections.has(section)) continue;
    const key = `${section}.${name}`;
    if (isSettingKey(key)) values.set(key, { text: value, source: { kind: 'file', file, line, key } });
    else problems.push(`${file}:${line}: unknown setting ${key}${suggestion(key, settingKeys)}`);
  }
  const routes = readRoutes(file, ini, problems);
  return { values, routes, origin: false, problems };
}

function readRoutes(file: string, ini: IniFile, problems: string[]): FileLayer['routes'] {
  const routes: RouteSetting[] = [];
  const heads = new Map(ini.sections.filter(({ name }) => routeSection.test(name)).map(head => [head.name, head]));
  for (const { name: section, line } of heads.values()) {
    const name = routeSection.exec(section)?.[1] ?? '';
    const entries = new Map<RouteField, IniEntry>();
    for (const entry of ini.entries.filter(candidate => candidate.section === section)) {
      if (isRouteField(entry.key)) entries.set(entry.key, entry);
      else {
        const near = suggestion(entry.key, Object.keys(routeFields));
        problems.push(`${file}:${entry.line}: unknown setting ${section}.${entry.key}${near}`);
      }
    }
    const texts = new Map([...entries].map(([field, entry]) => [field, entry.value]));
    const route = createRoute(name, texts, (field, message) => {
      const entry = entries.get(field);
      const not = entry === undefined ? '' : `, not ${JSON.stringify(entry.value)}`;
      problems.push(`${file}:${entry?.line ?? line}: ${section}.${field} ${message}${not}`);
    });
    if (route === undefined) continue;
    routes.push(route);
    const duplicate = findDuplicate(routes);
    if (duplicate !== undefined) {
      const first = routes.find(({ host, path }) => host === duplicate.host && path === duplicate.path);
      problems.push(
        `${file}:${line}: ${section} has the host and path of route.${first?.name} (${route.host}${route.path})`,
      );
      routes.pop();
    }
  }
  const [first] = heads.values();
  if (first === undefined) return undefined;
  return { value: routes, source: { kind: 'file', file, line: first.line, key: 'route' } };
}
