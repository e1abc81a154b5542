import { setImmediate as turn } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { ContentIndex } from './content-index.ts';
import { hashFile } from './hash-file.ts';
import type { FromHasher, HashResult, HashSettings, ToHasher } from './hash-message.ts';
import { type Candidate, lookAt, scanFolder } from './scan-folder.ts';

/**
 * The thread that looks through the share and hashes: one, so it takes one core at most. It reads the index and writes nothing; what it finds
 * goes to the main thread (share.ts). Folders are looked through before files are hashed, unless many wait.
 */
const settings = workerData as HashSettings;
const port = parentPort;
if (port === null) throw new Error('this is the main of a thread');
const index = new ContentIndex(settings.indexDir, { readOnly: true });

const mostWaiting = 10_000;
const mostResults = 200;
const mostUntaken = 1_000;

/** How often each was asked for. */
const scans = new Map<string, number>();
/** By path: a file that changes while it waits stands once. */
const toHash = new Map<string, Candidate>();
/** Looked at again when it is time. */
const settling = new Map<string, Candidate & { readonly at: number }>();
let results: HashResult[] = [];
let untaken = 0;
let wake: () => void = () => {};

port.on('message', (message: ToHasher) => {
  if (message.type === 'scan') scans.set(message.folder, (scans.get(message.folder) ?? 0) + 1);
  else untaken -= message.results;
  wake();
});

function say(message: FromHasher): void {
  port?.postMessage(message);
}

function flush(): void {
  if (results.length === 0) return;
  untaken += results.length;
  say({ type: 'results', results, left: toHash.size + settling.size });
  results = [];
}

async function taken(most: number): Promise<void> {
  while (untaken > most) await new Promise<void>(resolve => (wake = resolve));
}

async function add(result: HashResult): Promise<void> {
  results.push(result);
  if (results.length < mostResults) return;
  flush();
  await taken(mostUntaken);
}

/** To be hashed now, unless somebody may be at it. */
function consider(candidate: Candidate): void {
  const ago = Date.now() - candidate.modifiedMs;
  toHash.delete(candidate.path);
  if (ago >= settings.settleMs || settings.settleMs === 0) toHash.set(candidate.path, candidate);
  else settling.set(candidate.path, { ...candidate, at: performance.now() + settings.settleMs });
}

function settle(): void {
  const now = performance.now();
  for (const [path, before] of settling) {
    if (before.at > now) continue;
    settling.delete(path);
    const candidate = lookAt(settings.root, path);
    if (candidate === undefined) results.push({ type: 'gone', path });
    // Its time may lie ahead: what counts is that it has not changed meanwhile.
    else if (candidate.stamp === before.stamp) toHash.set(path, candidate);
    else settling.set(path, { ...candidate, at: now + settings.settleMs });
  }
}

async function scan(folder: string, asked: number): Promise<void> {
  // What was found before must be in the index, or it is hashed again.
  flush();
  await taken(0);
  try {
    const { folders, candidates, results } = scanFolder(settings, folder, index.stampsIn(folder));
    for (const result of results) await add(result);
    for (const candidate of candidates) {
      const before = toHash.get(candidate.path) ?? settling.get(candidate.path);
      if (before?.stamp !== candidate.stamp) consider(candidate);
    }
    say({ type: 'scanned', folder, asked, folders, failure: undefined });
  } catch (error) {
    say({
      type: 'scanned',
      folder,
      asked,
      folders: [],
      failure: (error as NodeJS.ErrnoException).code ?? String(error),
    });
  }
}

async function hashOne(candidate: Candidate): Promise<void> {
  const { path, stamp, modifiedMs } = candidate;
  // It came into the index while it waited: a download that was finished.
  if (index.findFile(path)?.stamp === stamp) return;
  const start = index.hashedSoFar(path, stamp);
  const hashed = await hashFile(settings.root, candidate, start, leaves => {
    results.push({ type: 'progress', path, stamp, leaves });
    flush();
  });
  if (hashed.type === 'hashed') return add({ ...hashed, path, stamp, modifiedMs });
  if (hashed.type === 'refused') return add({ ...hashed, path, stamp, modifiedMs });
  const again = lookAt(settings.root, path);
  if (again === undefined) return add({ type: 'gone', path });
  settling.set(path, { ...again, at: performance.now() + settings.settleMs });
}

for (;;) {
  settle();
  const [first] = scans;
  const [next] = toHash.values();
  if (first !== undefined && toHash.size < mostWaiting) {
    scans.delete(first[0]);
    await scan(...first);
  } else if (next !== undefined) {
    toHash.delete(next.path);
    await hashOne(next);
  } else {
    flush();
    say({ type: 'idle', waiting: settling.size });
    const { promise, resolve } = Promise.withResolvers<void>();
    wake = resolve;
    const timer = settling.size > 0 ? setTimeout(resolve, Math.max(20, settings.settleMs / 2)) : undefined;
    await promise;
    clearTimeout(timer);
  }
  await turn();
}
