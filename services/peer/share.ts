import { type FSWatcher, realpathSync, watch } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { backoffMs } from '../lib/backoff.ts';
import { Failure, messageOf } from '../lib/failure.ts';
import type { ContentIndex } from './content-index.ts';
import { updateFolderIds } from './folder-ids.ts';
import type { FromHasher, HashResult, HashSettings, ToHasher } from './hash-message.ts';
import type { Platform } from './share-path.ts';

export interface ShareOptions {
  /** Absolute paths that are not shared though they are below the root: the data of this member. */
  readonly exclude?: readonly string[];
  readonly platform?: Platform;
  /** A file must have rested for so long before it is hashed. */
  readonly settleMs?: number;
  /** Everything is looked through so often, in case that the system has not told of a change. 0: never. */
  readonly rescanMs?: number;
}

const restartBounds = { firstMs: 2_000, maxMs: 600_000 };

/**
 * Keeps the index in step with a folder. Each folder below it has a watcher of its own: one inotify watch a folder, where `fs.watch` with
 * `recursive` and chokidar take one a file (100,000 files in 1,000 folders, RSS of the process: 51 MiB, 312 MiB, 745 MiB; ready after
 * 0.02 s, 9 s, 4 s). A watcher stands before its folder is looked through, so no change falls between.
 */
export class Share {
  readonly root: string;
  readonly #index: ContentIndex;
  #worker: Worker;
  readonly #settings: HashSettings;
  #deaths = 0;
  #restarting: NodeJS.Timeout | undefined;
  #left = 0;
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #dirty = new Set<string>();
  readonly #stopped = new AbortController();
  readonly #onChange: () => void;
  readonly #onProblem: (failure: Failure) => void;
  #scanning = 0;
  #isIdle = false;
  #waiting = 0;
  #updating: Promise<void> = Promise.resolve();
  #debounce: NodeJS.Timeout | undefined;
  readonly #rescan: NodeJS.Timeout | undefined;
  #whenIdle: (() => void)[] = [];

  /**
   * @param onChange there is something new in `index.changes()`
   * @throws Failure PEER_SHARE when there is no such folder
   */
  constructor(
    {
      root,
      index,
      indexDir,
      onChange,
      onProblem,
    }: {
      root: string;
      index: ContentIndex;
      indexDir: string;
      onChange: () => void;
      onProblem: (failure: Failure) => void;
    },
    options: ShareOptions = {},
  ) {
    try {
      this.root = realpathSync(root);
    } catch (error) {
      throw new Failure('PEER_SHARE', `cannot share ${root}: ${messageOf(error)}`, { cause: error });
    }
    this.#index = index;
    this.#onChange = onChange;
    this.#onProblem = onProblem;
    const { exclude = [], settleMs = 1_000, rescanMs = 600_000 } = options;
    const platform = options.platform ?? (process.platform === 'win32' ? 'windows' : 'posix');
    this.#settings = { root: this.root, indexDir, exclude, platform, settleMs };
    this.#worker = this.#startWorker();
    this.#rescan = rescanMs > 0 ? setInterval(() => this.rescan(), rescanMs) : undefined;
    this.#rescan?.unref();
    this.#scan('');
  }

  /** Looks through everything; files that look as they did are not read. */
  rescan(): void {
    for (const folder of ['', ...this.#watchers.keys()]) this.#scan(folder);
  }

  /** Looks through one folder soon: something was seen to be different there. */
  look(folder: string): void {
    this.#dirty.add(folder);
    this.#debounce ??= setTimeout(() => {
      this.#debounce = undefined;
      for (const each of this.#dirty) this.#scan(each);
      this.#dirty.clear();
    }, 100);
  }

  /** Resolves when all that is there is in the index, and all folders have their ids. */
  whenIdle(): Promise<void> {
    if (this.#isQuiet) return this.#updating;
    return new Promise(resolve => this.#whenIdle.push(resolve));
  }

  get #isQuiet(): boolean {
    return this.#isIdle && this.#scanning === 0 && this.#waiting === 0 && this.#dirty.size === 0;
  }

  #scan(folder: string): void {
    this.#watch(folder);
    this.#scanning++;
    this.#isIdle = false;
    this.#send({ type: 'scan', folder });
  }

  #startWorker(): Worker {
    // The sources are TypeScript, the package's are not.
    const ending = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
    const worker = new Worker(new URL(`./hash-worker${ending}`, import.meta.url), {
      workerData: this.#settings,
      name: 'warren-hash',
      // What it holds is bounded, its garbage need not pile up.
      resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 128 },
    });
    worker.on('message', message => this.#take(message));
    worker.on('error', error => this.#restart(error));
    return worker;
  }

  /** Something that it cannot read, say: what it knew is gone, so all is looked through again. Sooner or later it may be well. */
  #restart(error: unknown): void {
    if (this.#stopped.signal.aborted) return;
    // There is no herd to spread: always half of the ceiling.
    const waitMs = backoffMs(this.#deaths++, restartBounds, () => 0);
    this.#problem(
      'PEER_HASHING',
      `hashing has stopped (${messageOf(error)}), and begins again in ${waitMs / 1_000} s`,
      error,
    );
    clearTimeout(this.#restarting);
    this.#restarting = setTimeout(() => {
      this.#worker = this.#startWorker();
      this.#scanning = 0;
      this.rescan();
    }, waitMs);
  }

  /** Files that are found and not hashed yet, about. */
  get pending(): number {
    return this.#isQuiet ? 0 : this.#left;
  }

  #send(message: ToHasher): void {
    this.#worker.postMessage(message);
  }

  #watch(folder: string): void {
    if (this.#watchers.has(folder) || this.#stopped.signal.aborted) return;
    try {
      const watcher = watch(join(this.root, folder), () => this.look(folder));
      // The folder has gone, say.
      watcher.on('error', () => {
        this.#unwatch(folder);
        this.look(folder);
      });
      this.#watchers.set(folder, watcher);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Changes are then found when everything is looked through.
      if (code === 'ENOSPC' || code === 'EMFILE')
        this.#problem('PEER_WATCHING', `too many folders to watch (fs.inotify.max_user_watches): ${folder}`, error);
    }
  }

  #unwatch(folder: string): void {
    this.#watchers.get(folder)?.close();
    this.#watchers.delete(folder);
  }

  #take(message: FromHasher): void {
    if (this.#stopped.signal.aborted) return;
    try {
      if (message.type === 'results') {
        this.#left = message.left;
        this.#takeResults(message.results);
      } else if (message.type === 'scanned') this.#takeFolders(message);
      else this.#takeIdle(message.waiting);
    } catch (error) {
      this.#problem('PEER_INDEX', `the index cannot be written: ${messageOf(error)}`, error);
    }
  }

  #takeResults(results: readonly HashResult[]): void {
    try {
      this.#index.transaction(() => {
        for (const result of results) {
          if (result.type === 'hashed') this.#index.setFile(result.path, result);
          else if (result.type === 'refused') this.#index.refuseFile(result.path, result.reason, result);
          else if (result.type === 'gone') this.#index.removeFile(result.path);
          else this.#index.saveHashing(result.path, result.stamp, result.leaves);
        }
      });
    } finally {
      this.#send({ type: 'taken', results: results.length });
    }
    this.#onChange();
  }

  #takeFolders({ folder, asked, folders, failure }: Extract<FromHasher, { type: 'scanned' }>): void {
    this.#scanning -= asked;
    // It goes on with what it found.
    this.#isIdle = false;
    if (failure !== undefined && folder === '') {
      // An unplugged disk is not a share whose files were all deleted.
      this.#unwatch(folder);
      return this.#problem('PEER_SHARE', `the share ${this.root} cannot be read (${failure})`, undefined);
    }
    if (failure !== undefined) {
      this.#remove(folder);
      if (failure !== 'ENOENT')
        this.#problem('PEER_SHARE', `${folder} cannot be read (${failure}): not shared`, undefined);
      return;
    }
    const there = new Set(folders);
    for (const known of this.#index.foldersIn(folder)) if (!there.has(known)) this.#remove(known);
    this.#index.transaction(() => {
      this.#index.addFolder(folder);
      for (const each of folders) this.#index.addFolder(each);
    });
    // One that is watched is looked through when its watcher says so.
    for (const each of folders) if (!this.#watchers.has(each)) this.#scan(each);
  }

  #remove(folder: string): void {
    for (const each of [...this.#watchers.keys()])
      if (each === folder || each.startsWith(`${folder}/`)) this.#unwatch(each);
    while (this.#index.transaction(() => this.#index.removeFolder(folder))) {
      // A thousand files at a time.
    }
    this.#onChange();
  }

  #takeIdle(waiting: number): void {
    this.#isIdle = true;
    this.#left = waiting;
    this.#waiting = waiting;
    if (this.#scanning > 0) return;
    this.#updating = this.#updating
      .then(() => updateFolderIds(this.#index, this.#stopped.signal))
      .then(() => {
        if (this.#stopped.signal.aborted) return;
        this.#onChange();
        if (!this.#isQuiet) return;
        const resolves = this.#whenIdle;
        this.#whenIdle = [];
        for (const resolve of resolves) resolve();
      })
      .catch(error => this.#problem('PEER_INDEX', `folders cannot be named: ${messageOf(error)}`, error));
  }

  #problem(code: string, message: string, cause: unknown): void {
    if (!this.#stopped.signal.aborted) this.#onProblem(new Failure(code, message, { cause }));
  }

  async close(): Promise<void> {
    this.#stopped.abort();
    clearInterval(this.#rescan);
    clearTimeout(this.#debounce);
    clearTimeout(this.#restarting);
    for (const folder of [...this.#watchers.keys()]) this.#unwatch(folder);
    await this.#worker.terminate();
    await this.#updating;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
