import { maskUrl } from './address.ts';
import type { Source } from './config.ts';
import { formatIniValue } from './ini.ts';
import type { Loaded } from './load.ts';
import { type SettingKey, settingKeys, settingOf } from './settings.ts';

const COMMENT_COLUMN = 40;

/** The effective settings as an ini file, each with where it comes from; passwords are masked. */
export function formatSettings({ config, values }: Loaded): string {
  const lines: string[] = [];
  let section = '';
  for (const key of settingKeys) {
    const value = values.get(key);
    const [head = '', name] = key.split('.');
    if (name === undefined || value === undefined) continue;
    if (head !== section) lines.push(...(section === '' ? [] : ['']), `[${head}]`);
    section = head;
    lines.push(commented(`${name} = ${formatIniValue(masked(key, value.text))}`, formatSource(value.source)));
  }
  const source = formatSource(values.get('routes')?.source ?? { kind: 'default' });
  for (const route of config.routes) {
    // A route from a flag has its host in its name, which may be an [IPv6] one.
    lines.push('', commented(`[route.${route.name.replaceAll(/[[\]]/g, '')}]`, source));
    lines.push(`host = ${route.host}`, `path = ${route.path}`, `service = ${route.service}`);
    lines.push(`ttl = ${route.ttlSeconds ?? ''}`, `idempotency_key = ${route.idempotencyKey}`);
    lines.push(`deadline_ms = ${route.deadlineMs}`);
  }
  return `${lines.map(line => line.trimEnd()).join('\n')}\n`;
}

function masked(key: SettingKey, text: string): string {
  const { sensitive } = settingOf(key);
  if (sensitive === 'password') return text === '' ? '' : '***';
  return sensitive === 'urls' ? text.split(',').map(maskUrl).join(',') : text;
}

function commented(line: string, comment: string): string {
  return `${line.padEnd(COMMENT_COLUMN)} ; ${comment}`;
}

function formatSource(source: Source): string {
  switch (source.kind) {
    case 'default':
      return 'default';
    case 'file':
      return `${source.file}:${source.line}`;
    case 'env':
    case 'flag':
      return source.name;
  }
}
