import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { parseSync } from 'rolldown/utils';
import { describe, expect, test } from 'vitest';

/**
 * Keeps the layers of DESIGN.md ("Layers, and who may import whom") from the real imports. Each rule is a function from source
 * texts to violations, so that it can be seen to bite on a tiny example as well.
 */

const root = join(import.meta.dirname, '..');

/**
 * Pure logic: no I/O, no timers, no clock, no randomness. A file that would qualify need not stand here; one that stands here
 * must exist, and qualify.
 */
const core = [
  'services/lib/backoff.ts',
  'services/lib/failure.ts',
  'services/lib/identity/member-id.ts',
  'services/lib/lease.ts',
  'services/lib/remember.ts',
  'services/lib/trace.ts',
  'services/bus/ack-window.ts',
  'services/bus/accounts/management-url.ts',
  'services/bus/accounts/reconcile.ts',
  'services/bus/accounts/specs.ts',
  'services/bus/arrival.ts',
  'services/lib/rpc/call-failure.ts',
  'services/lib/rpc/definition.ts',
  'services/bus/outbox.ts',
  'services/bus/own-keys.ts',
  'services/bus/queues.ts',
  'services/bus/rights.ts',
  'services/bus/topology.ts',
  'services/proxy/cache-policy.ts',
  'services/proxy/cache-store.ts',
  'services/proxy/fields.ts',
  'services/proxy/job-table.ts',
  'services/proxy/request-log.ts',
  'services/proxy/max-forwards.ts',
  'services/proxy/recent-figures.ts',
  'services/proxy/routes.ts',
  'services/proxy/wire/chunk-reader.ts',
  'services/proxy/wire/fault.ts',
  'services/proxy/wire/head-fields.ts',
  'services/proxy/wire/head-reader.ts',
  'services/proxy/wire/octets.ts',
  'services/proxy/wire/request-stream.ts',
  'services/worker/balancer.ts',
  'services/worker/job-gate.ts',
  'services/worker/response-framing.ts',
  'services/lib/attempt-limiter.ts',
  'services/lib/rest/http-status.ts',
  'services/lib/rest/mistake.ts',
  'services/naming/host-port.ts',
  'services/naming/record.ts',
  'services/naming/response-limiter.ts',
  'services/naming/zone.ts',
  'services/directory/active-peers.ts',
  'services/directory/attempts.ts',
  'services/directory/broker-places.ts',
  'services/directory/presence.ts',
  'services/chat/direct/bounds.ts',
  'services/chat/direct/correspondents.ts',
  'services/chat/direct/sending.ts',
  'services/chat/presence.ts',
  'services/chat/core/bounds.ts',
  'services/chat/core/chat-log.ts',
  'services/chat/core/chat-state.ts',
  'services/chat/core/checkpoint-clock.ts',
  'services/chat/core/client-events.ts',
  'services/chat/core/client.ts',
  'services/chat/core/entry.ts',
  'services/chat/core/giving.ts',
  'services/chat/core/hand-over.ts',
  'services/chat/core/input-channel.ts',
  'services/chat/core/intake.ts',
  'services/chat/core/operation-bounds.ts',
  'services/chat/core/owner-watch.ts',
  'services/chat/core/rate.ts',
  'services/chat/core/rooms.ts',
  'services/chat/core/rule.ts',
  'services/chat/core/server-events.ts',
  'services/chat/core/server-ports.ts',
  'services/chat/core/server.ts',
  'services/chat/core/serving.ts',
  'services/chat/core/taking.ts',
  'services/chord/arc.ts',
  'services/chord/ask.ts',
  'services/chord/bounds.ts',
  'services/chord/finger-table.ts',
  'services/chord/holders.ts',
  'services/chord/host.ts',
  'services/chord/identifier.ts',
  'services/chord/lookup.ts',
  'services/chord/maintenance.ts',
  'services/chord/node.ts',
  'services/chord/peer.ts',
  'services/chord/ports.ts',
  'services/chord/publisher.ts',
  'services/chord/reconcile.ts',
  'services/chord/record-store.ts',
  'services/chord/record.ts',
  'services/chord/repair.ts',
  'services/chord/ring-state.ts',
  'services/chord/steps.ts',
  'services/chord/storage.ts',
  'services/chord/successor-list.ts',
  'services/lib/search-words.ts',
  'services/member/reach.ts',
  'services/peer/choose-pieces.ts',
  'services/peer/listing.ts',
  'services/peer/merkle.ts',
  'services/peer/offer-quota.ts',
  'services/peer/piece-counts.ts',
  'services/peer/piece-map.ts',
  'services/peer/rate-meter.ts',
  'services/peer/scheduler-options.ts',
  'services/peer/scheduler.ts',
  'services/peer/share-path.ts',
  'services/peer/steal-pieces.ts',
  'services/peer/swarm-event.ts',
  'services/peer/swarm-source.ts',
  'services/peer/token-bucket.ts',
  'services/peer/upload-ledger.ts',
  'services/demo/message-list.ts',
  'services/demo/post-id.ts',
  'services/demo/post.ts',
  'services/config/format.ts',
  'services/config/nearest.ts',
  'services/config/quantity.ts',
];

/** They put services together. */
const composers = new Set(['up', 'member', 'cli']);
/** For all. */
const shared = new Set(['bus', 'lib']);

interface Import {
  /** A path from the root for relative ones, else as written: `node:fs`, `undici`; `?` for one that is computed. */
  readonly to: string;
  readonly isType: boolean;
  readonly isLazy: boolean;
}

interface SourceFile {
  readonly path: string;
  readonly imports: readonly Import[];
  readonly hasDefaultExport: boolean;
  /** Globals used as values, and `Date.now`, `new Date()`, `Math.random`, `….sendToQueue`. */
  readonly mentions: readonly string[];
}

type Tree = readonly SourceFile[];

// --- reading

/** A syntax node of ESTree, as far as we look at it. */
type Node = { readonly type: string } & Readonly<Record<string, unknown>>;

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

const typeDeclarations = new Set(['TSTypeAliasDeclaration', 'TSInterfaceDeclaration', 'TSDeclareFunction']);
const typeKeys = new Set([
  'typeAnnotation',
  'returnType',
  'typeParameters',
  'typeArguments',
  'superTypeArguments',
  'implements',
]);

function parse(path: string, text: string): SourceFile {
  const { program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path} cannot be parsed: ${errors[0]?.message}`);
  const imports: Import[] = [];
  const mentions: string[] = [];
  let hasDefaultExport = false;

  const imported = (source: unknown, isType: boolean, isLazy = false): void => {
    const specifier = isNode(source) && typeof source.value === 'string' ? source.value : '?';
    const to = specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : specifier;
    imports.push({ to, isType, isLazy });
  };
  const nameOf = (value: unknown): unknown => (isNode(value) ? (value.name ?? value.value) : undefined);
  const areTypes = (specifiers: unknown, kind: 'importKind' | 'exportKind'): boolean =>
    Array.isArray(specifiers) &&
    specifiers.length > 0 &&
    specifiers.every(each => isNode(each) && each[kind] === 'type');

  const visit = (node: Node, inType: boolean): void => {
    switch (node.type) {
      case 'ImportDeclaration':
        return imported(node.source, node.importKind === 'type' || areTypes(node.specifiers, 'importKind'));
      case 'ExportAllDeclaration':
        return imported(node.source, node.exportKind === 'type');
      case 'ExportNamedDeclaration':
        if (isNode(node.source))
          imported(node.source, node.exportKind === 'type' || areTypes(node.specifiers, 'exportKind'));
        if (
          Array.isArray(node.specifiers) &&
          node.specifiers.some(each => isNode(each) && nameOf(each.exported) === 'default')
        ) {
          hasDefaultExport = true;
        }
        if (isNode(node.source)) return;
        break;
      case 'ExportDefaultDeclaration':
        hasDefaultExport = true;
        break;
      case 'ImportExpression':
        imported(node.source, inType, true);
        break;
      case 'TSImportType':
        imported(node.source ?? node.argument, true);
        break;
      case 'TSExternalModuleReference':
        imported(node.expression, false);
        break;
      case 'CallExpression':
        if (nameOf(node.callee) === 'require')
          imported(Array.isArray(node.arguments) ? node.arguments[0] : undefined, false);
        if (nameOf(node.callee) === 'Date') mentions.push('Date()');
        break;
      case 'NewExpression':
        if (nameOf(node.callee) === 'Date' && Array.isArray(node.arguments) && node.arguments.length === 0)
          mentions.push('new Date()');
        break;
      case 'MemberExpression': {
        const member = `${nameOf(node.object)}.${nameOf(node.property)}`;
        if (!inType) mentions.push(member);
        if (nameOf(node.property) === 'sendToQueue') mentions.push('sendToQueue');
        break;
      }
      case 'Identifier':
        if (!inType) mentions.push(String(node.name));
        break;
    }
    for (const [key, value] of Object.entries(node)) {
      // Names that are no references: o.name, { name: … }, class members, labels.
      if (key === 'property' && node.type === 'MemberExpression' && node.computed !== true) continue;
      if (key === 'key' && node.computed !== true) continue;
      if (key === 'label') continue;
      const isType = inType || typeKeys.has(key) || typeDeclarations.has(node.type);
      for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) visit(child, isType);
    }
  };
  visit(program as unknown as Node, false);
  return { path, imports, hasDefaultExport, mentions };
}

/** All sources below a folder, as paths from the root with `/`. */
function listFiles(folder: string, extensions: readonly string[]): string[] {
  const at = join(root, folder);
  if (!existsSync(at)) return [];
  return readdirSync(at, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && extensions.some(extension => entry.name.endsWith(extension)))
    .map(entry =>
      posix.join(folder, posix.relative(at.replaceAll('\\', '/'), entry.parentPath.replaceAll('\\', '/')), entry.name),
    )
    .filter(path => !path.includes('node_modules/'))
    .sort();
}

const sources = ['.ts', '.tsx', '.mts', '.cts'];

function readTree(...folders: string[]): Tree {
  return folders
    .flatMap(folder => listFiles(folder, sources))
    .map(path => parse(path, readFileSync(join(root, path), 'utf8')));
}

function treeOf(texts: Readonly<Record<string, string>>): Tree {
  return Object.entries(texts).map(([path, text]) => parse(path, text));
}

/** `services/proxy/edge.ts` → `proxy`; undefined outside of services. */
function serviceOf(path: string): string | undefined {
  if (path.startsWith('tui/')) return 'tui';
  return /^services\/([^/]+)\//.exec(path)?.[1];
}

const isMain = (path: string): boolean => /^services\/[^/]+\/main\.ts$/.test(path);

// --- the rules: each gives its violations, one line each

const impure = new Set([
  ...['Date.now', 'new Date()', 'Date()', 'Math.random'],
  ...['process', 'performance', 'console', 'crypto', 'fetch', 'globalThis', 'require'],
  ...['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'],
]);

function impurities(tree: Tree, listed: readonly string[]): string[] {
  const problems: string[] = [];
  for (const path of listed) {
    const file = tree.find(each => each.path === path);
    if (!file) {
      problems.push(`${path} does not exist`);
      continue;
    }
    for (const { to, isType } of file.imports) {
      if (!isType && !listed.includes(to)) problems.push(`${path} imports ${to}, which is not core`);
    }
    for (const name of new Set(file.mentions)) if (impure.has(name)) problems.push(`${path} uses ${name}`);
  }
  return problems;
}

function importsOfMains(tree: Tree): string[] {
  return tree.flatMap(({ path, imports }) =>
    imports
      .filter(({ to, isLazy }) => isMain(to) && serviceOf(path) !== 'up' && !(serviceOf(path) === 'cli' && isLazy))
      .map(({ to }) => `${path} imports ${to}`),
  );
}

function crossings(tree: Tree): string[] {
  return tree.flatMap(({ path, imports }) => {
    const from = serviceOf(path) ?? '';
    return imports
      .filter(({ to, isType }) => {
        const service = serviceOf(to);
        if (service === undefined || service === from) return false;
        if (from === 'lib') return true;
        if (service === 'lib') return false;
        if (from === 'bus') return true;
        if (composers.has(from) || shared.has(service)) return false;
        if (service === 'config' && isType) return false;
        // What a service's composition is called with: the port of a command.
        return !(to === 'services/cli/io.ts' && isType && isMain(path));
      })
      .map(({ to, isType }) => `${path} imports ${isType ? 'types of ' : ''}${to}`);
  });
}

function drawers(paths: readonly string[]): string[] {
  return paths.filter(path => /(?:^|\/)(?:utils?|helpers?|types|common)(?:\.[^/]*)?(?:\/|$)/i.test(path));
}

function defaultExports(tree: Tree): string[] {
  return tree
    .filter(({ path, hasDefaultExport }) => hasDefaultExport && path.startsWith('services/'))
    .map(({ path }) => path);
}

function amqpOutsideTheBus(tree: Tree): string[] {
  return tree.flatMap(({ path, imports, mentions }) => [
    ...imports
      .filter(({ to }) => /^amqplib(?:\/|$)/.test(to) && !path.startsWith('services/bus/'))
      .map(({ to }) => `${path} imports ${to}`),
    // It publishes to the default exchange.
    ...(mentions.includes('sendToQueue') ? [`${path} calls sendToQueue`] : []),
  ]);
}

function computedImports(tree: Tree): string[] {
  return tree.filter(({ imports }) => imports.some(({ to }) => to === '?')).map(({ path }) => path);
}

/** What a package that was installed without its development dependencies could not import. */
function undeclared(tree: Tree, dependencies: readonly string[]): string[] {
  return tree.flatMap(({ path, imports }) =>
    imports
      .filter(({ to, isType }) => !isType && !/^(?:node:|services\/|proto\/|tui\/|\?$)/.test(to))
      .filter(({ to }) => !dependencies.includes(/^(?:@[^/]+\/)?[^/]+/.exec(to)?.[0] ?? ''))
      .map(({ to }) => `${path} imports ${to}`),
  );
}

/** Each cycle once, from its first file in order of names. Of what runs: two types may name each other. */
function cycles(tree: Tree): string[] {
  const next = new Map(
    tree.map(({ path, imports }) => [path, imports.filter(({ isType }) => !isType).map(({ to }) => to)]),
  );
  const found = new Set<string>();
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]): void => {
    const start = way.indexOf(path);
    if (start >= 0) {
      const cycle = way.slice(start);
      const first = cycle.indexOf([...cycle].sort()[0] ?? '');
      found.add([...cycle.slice(first), ...cycle.slice(0, first), cycle[first]].join(' → '));
      return;
    }
    if (done.has(path)) return;
    for (const to of next.get(path) ?? []) if (next.has(to)) visit(to, [...way, path]);
    done.add(path);
  };
  for (const { path } of tree) visit(path, []);
  return [...found];
}

// --- the project keeps them

const project = readTree('services', 'tui');

describe('the project', () => {
  test('is read: its services are there', () => {
    expect(project.length).toBeGreaterThan(50);
    const services = new Set(project.map(({ path }) => serviceOf(path)));
    for (const service of ['bus', 'cli', 'config', 'demo', 'directory', 'lib', 'naming', 'proxy', 'up', 'worker'])
      expect(services).toContain(service);
    const transaction = project.find(({ path }) => path === 'services/proxy/transaction.ts');
    expect(transaction?.imports).toContainEqual({ to: 'services/proxy/fields.ts', isType: false, isLazy: false });
    expect(transaction?.imports).toContainEqual({ to: 'services/config/config.ts', isType: true, isLazy: false });
    expect(transaction?.imports).toContainEqual({ to: 'node:tls', isType: false, isLazy: false });
  });

  test('imports no file that is not there', () => {
    const missing = project.flatMap(({ path, imports }) =>
      imports
        .filter(
          ({ to }) =>
            to.includes('/') && /^(?:services|tui|proto|bin|test|bench)\//.test(to) && !existsSync(join(root, to)),
        )
        .map(({ to }) => `${path} → ${to}`),
    );
    expect(missing).toEqual([]);
  });

  test('has a core without I/O, timers, clock and randomness', () => {
    expect(impurities(project, core)).toEqual([]);
  });

  test('has mains that nobody imports but the command line, lazily, and `up`', () => {
    expect(importsOfMains(project)).toEqual([]);
  });

  test('has services that know nothing of each other, but for those that compose them', () => {
    expect(crossings(project)).toEqual([]);
  });

  test("has no file that becomes everyone's drawer", () => {
    const everything = ['services', 'tui', 'test', 'bench', 'bin', 'tools', 'proto/warren'].flatMap(folder =>
      listFiles(folder, ['']),
    );
    expect(everything.length).toBeGreaterThan(100);
    expect(drawers(everything)).toEqual([]);
  });

  test('has named exports only', () => {
    expect(defaultExports(project)).toEqual([]);
  });

  test('touches AMQP in the bus only, and there no default exchange', () => {
    expect(amqpOutsideTheBus(project)).toEqual([]);
    expect(project.some(({ imports }) => imports.some(({ to }) => to === 'amqplib'))).toBe(true);
  });

  test('imports nothing by a computed name, which nobody could check', () => {
    expect(computedImports(project)).toEqual([]);
  });

  test('runs on its dependencies alone, without those for development', () => {
    const manifest: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const { dependencies } = manifest as { dependencies: Record<string, string> };
    expect(undeclared([...project, ...readTree('proto/gen')], Object.keys(dependencies))).toEqual([]);
  });

  test('has no import cycles', () => {
    expect(cycles(project)).toEqual([]);
  });
});

// --- and they bite

describe('the reader', () => {
  const importsIn = (text: string): readonly Import[] => parse('services/a/x.ts', text).imports;

  test.each([
    ["import { a } from './b.ts';", 'services/a/b.ts', false, false],
    ["import * as a from '../c/b.ts';", 'services/c/b.ts', false, false],
    ["import './b.ts';", 'services/a/b.ts', false, false],
    ["import {} from './b.ts';", 'services/a/b.ts', false, false],
    ["import type { a } from './b.ts';", 'services/a/b.ts', true, false],
    ["import { type a } from './b.ts';", 'services/a/b.ts', true, false],
    ["import { type a, b } from './b.ts';", 'services/a/b.ts', false, false],
    ["export { a } from './b.ts';", 'services/a/b.ts', false, false],
    ["export type { a } from './b.ts';", 'services/a/b.ts', true, false],
    ["export * from './b.ts';", 'services/a/b.ts', false, false],
    ["const a = () => import('./b.ts');", 'services/a/b.ts', false, true],
    ["type A = import('./b.ts').A;", 'services/a/b.ts', true, false],
    ["const a = require('./b.ts');", 'services/a/b.ts', false, false],
    ["/* é 漢 */ import a from 'node:fs';", 'node:fs', false, false],
    ['const a = import(b);', '?', false, true],
  ])('sees %s', (text, to, isType, isLazy) => {
    expect(importsIn(text)).toEqual([{ to, isType, isLazy }]);
  });

  test.each([
    "// import { a } from './b.ts';",
    "/* import './b.ts'; */",
    "const a = `import './b.ts'`;",
    'const a = "import(\'./b.ts\')";',
    "/** {@link import('./b.ts').A} */ const a = /import '.\\/b.ts'/;",
  ])('is not taken in by %s', text => {
    expect(importsIn(text)).toEqual([]);
  });

  test('does not take a name for a reference, nor a type for a value', () => {
    const text = `
      interface A { process: number; at: typeof performance }
      const a = { console: 1, setTimeout() {} };
      class B { fetch = 1; crypto() { return this.fetch; } }
      a.console; // Date.now() setInterval()
      const later: typeof setInterval | undefined = undefined;
      const then = new Date(0);
      'Math.random()';
    `;
    expect(impurities(treeOf({ 'services/a/x.ts': text }), ['services/a/x.ts'])).toEqual([]);
  });

  test('refuses what it cannot parse', () => {
    expect(() => parse('services/a/x.ts', 'const = 1;')).toThrow('cannot be parsed');
  });
});

describe('the rules bite on', () => {
  const corePath = 'services/a/pure.ts';

  test.each([
    ['Date.now();', 'Date.now'],
    ['const now = Date.now;', 'Date.now'],
    ["Date['now']();", 'Date.now'],
    ['new Date();', 'new Date()'],
    ['Date();', 'Date()'],
    ['Math.random();', 'Math.random'],
    ['performance.now();', 'performance'],
    ['process.env.X;', 'process'],
    ['const { env } = process;', 'process'],
    ['const a = { process };', 'process'],
    ['setTimeout(() => {}, 1);', 'setTimeout'],
    ['const later = setImmediate;', 'setImmediate'],
    ['(setInterval as unknown)(1);', 'setInterval'],
    ["console.log('x');", 'console'],
    ['globalThis.process;', 'globalThis'],
  ])('core that says %s', (text, name) => {
    expect(impurities(treeOf({ [corePath]: text }), [corePath])).toContain(`${corePath} uses ${name}`);
  });

  test('core that imports more than core, unless it is only a type', () => {
    const tree = treeOf({
      [corePath]: "import { a } from './other.ts'; import { b } from 'node:net'; import { c } from 'undici';",
      'services/a/other.ts': '',
    });
    expect(impurities(tree, [corePath])).toEqual([
      `${corePath} imports services/a/other.ts, which is not core`,
      `${corePath} imports node:net, which is not core`,
      `${corePath} imports undici, which is not core`,
    ]);
    const good =
      "import { a } from './other.ts'; import type { Socket } from 'node:net'; import { type B } from './io.ts';";
    expect(
      impurities(treeOf({ [corePath]: good, 'services/a/other.ts': '' }), [corePath, 'services/a/other.ts']),
    ).toEqual([]);
  });

  test('core that is not there', () => {
    expect(impurities([], [corePath])).toEqual([`${corePath} does not exist`]);
  });

  test('whoever imports a main', () => {
    const importing = (path: string, text: string): string[] => importsOfMains(treeOf({ [path]: text }));
    const text = "import { run } from '../proxy/main.ts';";
    const lazy = "const run = () => import('../proxy/main.ts');";
    for (const path of ['services/worker/x.ts', 'services/cli/x.ts', 'services/proxy/x.ts', 'services/member/x.ts']) {
      expect(importing(path, text)).toEqual([`${path} imports services/proxy/main.ts`]);
    }
    expect(importing('services/worker/x.ts', lazy)).toHaveLength(1);
    expect(importing('services/worker/x.ts', "import type { Run } from '../proxy/main.ts';")).toHaveLength(1);
    expect(importing('tui/x.ts', "import '../services/proxy/main.ts';")).toHaveLength(1);
    expect(importing('services/cli/x.ts', lazy)).toEqual([]);
    expect(importing('services/up/x.ts', text)).toEqual([]);
  });

  test.each([
    ['services/proxy/x.ts', "import { a } from '../worker/y.ts';"],
    ['services/proxy/x.ts', "import type { a } from '../worker/y.ts';"],
    ['services/proxy/x.ts', "const a = () => import('../up/y.ts');"],
    ['services/proxy/x.ts', "import { a } from '../config/y.ts';"],
    ['services/proxy/x.ts', "import type { Run } from '../cli/io.ts';"],
    ['services/proxy/main.ts', "import { run } from '../cli/io.ts';"],
    ['services/proxy/main.ts', "import type { Command } from '../cli/command.ts';"],
    ['services/lib/x.ts', "import type { a } from '../bus/y.ts';"],
    ['services/lib/x.ts', "import type { a } from '../config/y.ts';"],
    ['services/bus/x.ts', "import type { a } from '../config/y.ts';"],
    ['services/bus/x.ts', "import { a } from '../proxy/y.ts';"],
    ['tui/x.ts', "import { a } from '../services/member/y.ts';"],
  ])('%s that says %s', (path, text) => {
    expect(crossings(treeOf({ [path]: text }))).toHaveLength(1);
  });

  test.each([
    [
      'services/proxy/x.ts',
      "import { a } from './y.ts'; import { b } from '../bus/y.ts'; import { c } from '../lib/y.ts';",
    ],
    [
      'services/proxy/x.ts',
      "import type { Config } from '../config/config.ts'; import { P } from '../../proto/gen/p.ts';",
    ],
    ['services/proxy/main.ts', "import type { Run } from '../cli/io.ts';"],
    ['services/up/x.ts', "import { a } from '../proxy/y.ts';"],
    ['services/member/x.ts', "import { a } from '../chord/y.ts';"],
    ['services/cli/x.ts', "import { a } from '../config/y.ts';"],
    ['services/bus/x.ts', "import { a } from '../lib/y.ts'; import { P } from '../../proto/gen/p.ts';"],
  ])('but not %s that says %s', (path, text) => {
    expect(crossings(treeOf({ [path]: text }))).toEqual([]);
  });

  test('drawers of any kind', () => {
    const bad = [
      'services/a/utils.ts',
      'test/helpers.test.ts',
      'services/types.ts',
      'bench/common/x.ts',
      'services/a/Helper.ts',
    ];
    expect(
      drawers([...bad, 'services/a/uncommon.ts', 'services/a/types-of-fish.ts', 'services/a/util-linux.ts']),
    ).toEqual(bad);
  });

  test.each([
    'export default 1;',
    'export default function f() {}',
    'const a = 1; export { a as default };',
    "export { default } from './b.ts';",
  ])('a service that says %s', text => {
    expect(defaultExports(treeOf({ 'services/a/x.ts': text, 'tui/x.tsx': text }))).toEqual(['services/a/x.ts']);
  });

  test('AMQP outside of the bus, even for its types, and on the default exchange anywhere', () => {
    const problems = amqpOutsideTheBus(
      treeOf({
        'services/bus/x.ts': "import { connect } from 'amqplib';",
        'services/proxy/x.ts': "import type { Channel } from 'amqplib';",
        'services/worker/x.ts': "import { connect } from 'amqplib/callback_api.js';",
        'services/bus/y.ts': "channel.sendToQueue('q', body);",
      }),
    );
    expect(problems).toEqual([
      'services/proxy/x.ts imports amqplib',
      'services/worker/x.ts imports amqplib/callback_api.js',
      'services/bus/y.ts calls sendToQueue',
    ]);
  });

  test('packages that are not declared, unless only for their types', () => {
    const text = `
      import { a } from 'vitest'; import b from '@scope/b/deep.js'; const c = () => import('late');
      import type { D } from 'types-only'; import 'node:fs'; import './y.ts'; import { e } from 'e/f'; import g from '@x/g';
    `;
    expect(undeclared(treeOf({ 'services/a/x.ts': text }), ['e', '@x/g'])).toEqual([
      'services/a/x.ts imports vitest',
      'services/a/x.ts imports @scope/b/deep.js',
      'services/a/x.ts imports late',
    ]);
  });

  test('cycles, also those of one, but not those of types', () => {
    const tree = treeOf({
      'services/a/a.ts': "import { b } from './b.ts';",
      'services/a/b.ts': "import { c } from './c.ts';",
      'services/a/c.ts': "const a = () => import('./a.ts'); import './d.ts';",
      'services/a/d.ts': "import './d.ts';",
      'services/a/e.ts': "import './a.ts'; import './d.ts';",
      'services/a/f.ts': "import { g } from './g.ts';",
      'services/a/g.ts': "import type { f } from './f.ts';",
    });
    expect(cycles(tree)).toEqual([
      'services/a/a.ts → services/a/b.ts → services/a/c.ts → services/a/a.ts',
      'services/a/d.ts → services/a/d.ts',
    ]);
  });

  test('imports by a computed name', () => {
    expect(computedImports(treeOf({ 'services/a/x.ts': "const a = import('./' + b);" }))).toEqual(['services/a/x.ts']);
  });
});
