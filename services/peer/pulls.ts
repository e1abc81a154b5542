import { Failure } from '../lib/failure.ts';
import { pause } from '../lib/pause.ts';
import { ContentPull, type Obtained, type PullNeeds, type PullRequest } from './content-pull.ts';
import { copyHeld } from './copy-held.ts';
import { dropUnfinished } from './download-file.ts';
import { findListing } from './folder-ids.ts';
import { decodeListing } from './listing.ts';
import type { ContentId } from './merkle.ts';
import type { SharePath } from './share-path.ts';

const holdMs = 3_000;

/** What is told of a content that is being obtained. */
export interface ObtainEvents {
  /** It is pulled; not called for what is here. */
  readonly pulls: (pull: ContentPull) => void;
  /** The disk is in the way; undefined: not any more. */
  readonly held: (failure: Failure | undefined) => void;
}

/** Contents on their way here, each once, whoever wants it. */
export class Pulls {
  readonly #needs: PullNeeds;
  readonly #active = new Map<ContentId, ContentPull>();
  readonly #copying = new Map<ContentId, Promise<unknown>>();

  constructor(needs: PullNeeds) {
    this.#needs = needs;
  }

  find(id: ContentId): ContentPull | undefined {
    return this.#active.get(id);
  }

  /** Copies what is here, waits for what is coming, pulls the rest. @throws Failure PEER_CANCELLED and as `ContentPull.done` */
  async obtain(request: PullRequest, events: ObtainEvents, signal: AbortSignal): Promise<Obtained> {
    const { place } = this.#needs;
    const { id, path, check } = request;
    while (!signal.aborted) {
      const running = this.#active.get(id);
      if (running !== undefined) {
        await ended(running, signal);
        continue;
      }
      const content = place.index.manifests.find(id);
      if (content !== undefined) {
        try {
          check?.(content.head);
          const copied = await this.#copy(id, path);
          if (copied !== undefined) {
            // It came in another way than it was being pulled.
            if (place.unfinished.find(id) !== undefined) await dropUnfinished(place, id);
            return { kind: 'file', path: copied };
          }
          events.held(undefined);
        } catch (error) {
          if (!(error instanceof Failure) || !error.code.startsWith('PEER_DISK')) throw error;
          events.held(error);
          await pause(holdMs, signal);
          continue;
        }
        const listing = findListing(place.index, id);
        if (listing !== undefined) return { kind: 'folder', entries: decodeListing(listing) };
      }
      // Somebody else may have begun while that was looked at, or it is not wanted any more.
      if (this.#active.has(id) || signal.aborted) continue;
      const pull = new ContentPull(this.#needs, request);
      this.#active.set(id, pull);
      events.pulls(pull);
      try {
        return await pull.done;
      } finally {
        this.#active.delete(id);
      }
    }
    throw new Failure('PEER_CANCELLED', 'the download was cancelled');
  }

  /** One at a time of a content. */
  async #copy(id: ContentId, path: SharePath): Promise<SharePath | undefined> {
    for (let other = this.#copying.get(id); other !== undefined; other = this.#copying.get(id)) await other;
    const copying = copyHeld(this.#needs.place, id, path);
    this.#copying.set(
      id,
      copying.catch(() => {}).finally(() => this.#copying.delete(id)),
    );
    return copying;
  }
}

/** Resolves as well when the signal aborts: a pull of somebody else's can take as long as it likes. */
async function ended(pull: ContentPull, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<void>();
  const abort = (): void => aborted.resolve();
  signal.addEventListener('abort', abort);
  await Promise.race([pull.done.catch(() => {}), aborted.promise]);
  signal.removeEventListener('abort', abort);
}
