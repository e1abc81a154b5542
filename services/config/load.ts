import type { Config, Source } from './config.ts';
import { readVariables } from './environment.ts';
import { type FileLayer, readSettings } from './file.ts';
import { parseFlags } from './flags.ts';
import { list, text as plainText } from './format.ts';
import { parseIni } from './ini.ts';
import { isOriginFile, readOriginSettings } from './origin.ts';
import { readEnvFiles } from './origin-peer.ts';
import { codeOf, describeInvalid, describeUnreadable, failOnAny, placeOf } from './problem.ts';
import type { RouteSetting } from './route.ts';
import { createConvict, findInvalid } from './schema.ts';
import type { CommandName } from './setting.ts';
import { envName, type SettingKey, settingKeys, settingOf } from './settings.ts';

export interface LoadOptions {
  readonly command: CommandName;
  /** What stands behind the command's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The text of a file; throws as `readFileSync` does. */
  readonly readFile: (path: string) => string;
  /** Read if it exists and `--config` names no other. */
  readonly defaultFile?: string;
}

export interface Loaded {
  readonly config: Config;
  readonly values: ReadonlyMap<SettingKey, EffectiveValue>;
}

/** A value as one would write it, and where it comes from. */
export interface EffectiveValue {
  readonly text: string;
  readonly source: Source;
}

/**
 * The effective settings of a command: defaults < file < environment < flags.
 * @throws Failure CONFIG, one line that names file and key, flag or variable; the first problem, and how many more.
 */
export function loadConfig(options: LoadOptions): Config {
  return loadSettings(options).config;
}

/** The same, with where each value comes from. */
export function loadSettings(options: LoadOptions): Loaded {
  const flags = parseFlags(options.command, options.argv);
  // A slip here may be why the file would be wrong (--config), so it is told first.
  failOnAny(flags.problems);
  const file = readLayer(options, flags.config);
  const env = readVariables(options.env, options.readFile);
  const sources = new Map<SettingKey, Source>(settingKeys.map(key => [key, { kind: 'default' }]));

  const peer = readPeerLayer(options, flags.values, env.texts, file);
  const layers = createConvict(options.command, env.texts);
  for (const { values, routes } of [file, peer].filter(layer => layer !== undefined)) {
    layers.load(nest({ values, routes }));
    for (const [key, { source }] of values) sources.set(key, source);
    if (routes !== undefined) sources.set('routes', routes.source);
  }
  for (const [key, name] of env.names) sources.set(key, { kind: 'env', name });
  for (const [key, text] of flags.values) {
    layers.set(key, text);
    sources.set(key, { kind: 'flag', name: `--${settingOf(key).flag?.name}` });
  }

  const invalid = findInvalid(layers).map(problem => describeInvalid(problem, sources));
  failOnAny([...env.problems, ...(file?.problems ?? []), ...(peer?.problems ?? []), ...invalid]);
  const config = createConfig(key => layers.get(key), file?.origin ?? false);
  failOnAny(contradictions(config, options.command, sources));
  const values = settingKeys.map(key => {
    const text = settingOf(key).format.format(layers.get(key));
    return [key, { text, source: sources.get(key) ?? { kind: 'default' } }] as const;
  });
  return { config, values: new Map<SettingKey, EffectiveValue>(values) };
}

function readLayer(options: LoadOptions, named: string | undefined): FileLayer | undefined {
  const path = named ?? options.defaultFile;
  if (path === undefined) return undefined;
  let text = '';
  try {
    text = options.readFile(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT' && named === undefined) return undefined;
    failOnAny([`${named === undefined ? path : `--config ${path}`} ${describeUnreadable(error)}`]);
  }
  const ini = parseIni(text);
  if (!isOriginFile(ini)) return readSettings(path, ini);
  // `up` brings its own backends; these ones have theirs.
  if (options.command === 'up')
    failOnAny([`${path} is an origin's settings file: warren proxy --config ${path} runs it`]);
  return readOriginSettings(path, ini);
}

/** The origin's .env files, where they are named: by flags, else the environment, else the settings file. */
function readPeerLayer(
  { command, readFile }: LoadOptions,
  flags: ReadonlyMap<SettingKey, string>,
  env: Readonly<Record<string, string>>,
  file: FileLayer | undefined,
): Omit<FileLayer, 'origin'> | undefined {
  const key = 'member.env_files';
  if (!settingOf(key).commands.includes(command)) return undefined;
  const text = flags.get(key) ?? env[envName(key)] ?? file?.values.get(key)?.text ?? '';
  return { ...readEnvFiles(list(plainText).parse(text), readFile), routes: undefined };
}

/** As convict wants a file's values: an object for each section. */
function nest(file: Pick<FileLayer, 'values' | 'routes'>): Record<string, unknown> {
  const tree: Record<string, Record<string, string>> = {};
  for (const [key, { text }] of file.values) {
    const [section = '', name = ''] = key.split('.');
    tree[section] = { ...tree[section], [name]: text };
  }
  return file.routes === undefined ? tree : { ...tree, routes: file.routes.value };
}

function createConfig(read: (key: SettingKey) => unknown, origin: boolean): Config {
  const sections: Record<string, Record<string, unknown>> = {};
  for (const key of settingKeys) {
    const [section = '', name] = key.split('.');
    if (name === undefined) continue;
    const property = name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    sections[section] = { ...sections[section], [property]: read(key) };
  }
  const fallback = read('proxy.job_deadline_ms') as number;
  const routes = read('routes') as readonly RouteSetting[];
  const config = {
    ...sections,
    routes: routes.map(route => ({ ...route, deadlineMs: route.deadlineMs ?? fallback })),
    origin,
  };
  // The type follows from the same table that the loop goes over.
  return deepFreeze(config) as unknown as Config;
}

/** What no single value shows. */
function contradictions(config: Config, command: CommandName, sources: ReadonlyMap<SettingKey, Source>): string[] {
  const problems: string[] = [];
  const { renewMs, leaseMs } = config.worker;
  if (renewMs >= leaseMs) {
    const key = sources.get('worker.renew_ms')?.kind === 'default' ? 'worker.lease_ms' : 'worker.renew_ms';
    problems.push(
      `${placeOf(key, sources.get(key))}: worker.renew_ms (${renewMs}) must be less than worker.lease_ms (${leaseMs})`,
    );
  }
  if (command === 'worker' && config.worker.upstream.length === 0) {
    problems.push('worker.upstream names no backend: warren worker --upstream http://127.0.0.1:3000');
  }
  const { tlsCert, tlsKey, tlsCa } = config.broker;
  if (command === 'broker' && (tlsCert === undefined) !== (tlsKey === undefined))
    problems.push('TLS needs both broker.tls_cert and broker.tls_key: --tls-cert FILE --tls-key FILE');
  if (command === 'broker' && tlsCa !== undefined && tlsCert === undefined)
    problems.push('broker.tls_ca needs a certificate of the broker too: --tls-cert FILE --tls-key FILE');
  const isEdge = command === 'proxy' || command === 'up';
  if (isEdge && (config.proxy.tlsCert === undefined) !== (config.proxy.tlsKey === undefined))
    problems.push('TLS needs both proxy.tls_cert and proxy.tls_key: --tls-cert FILE --tls-key FILE');
  return problems;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner);
    Object.freeze(value);
  }
  return value;
}
