import {
  ContentKind,
  type OfferRequest,
  type OfferResponse,
  OfferVerdict,
  TransferPhase,
} from '../../proto/gen/warren/peer/v1/peer.ts';
import { type MemberId, shortId } from '../lib/identity/member-id.ts';
import { remember } from '../lib/remember.ts';
import type { Limits } from './limits.ts';
import type { Contact, Locator } from './locator.ts';
import { type ContentId, isContentId, mostFileBytes } from './merkle.ts';
import { type Platform, refusalOfName, type SharePath } from './share-path.ts';
import { isOver, type OwnTransfer } from './transfer.ts';

export interface OfferNeeds {
  readonly limits: Limits;
  readonly locator: Locator;
  readonly platform: Platform;
  /** Whether the content is here, whole. */
  readonly isHeld: (id: ContentId) => boolean;
  /** What runs of it; `begin` otherwise. */
  readonly running: (id: ContentId) => OwnTransfer | undefined;
  readonly begin: (what: { id: ContentId; path: SharePath; from: Contact[]; mostBytes: number }) => OwnTransfer;
  readonly hasRoom: (bytes: number) => Promise<boolean>;
}

/** How an offer that was taken ended is remembered for so many. */
const remembered = 1_000;
/** So many that one member has offered are on their way at a time. */
const offersOfOne = 4;
/** An offer of which nobody is found, and nothing comes, for so long is given up; in milliseconds. */
const givenUpMs = 10 * 60_000;
const lookMs = 60_000;

/** What others want us to have. Each is checked before anything of it is asked for. */
export class Offers {
  readonly #needs: OfferNeeds;
  readonly #ended = new Map<string, OfferResponse>();
  /** Looked at just now: another offer of the same, with another length, must not begin on the promise of the first. */
  readonly #looked = new Set<ContentId>();
  readonly #taken = new Map<MemberId, number>();

  constructor(needs: OfferNeeds) {
    this.#needs = needs;
  }

  async take({ fileId, name, kind, length }: OfferRequest, from: MemberId): Promise<OfferResponse> {
    const { limits, platform, isHeld, running, begin, hasRoom, locator } = this.#needs;
    if (!isContentId(fileId)) return refused('NAME', 'a file id is 64 lower-case hexadecimal digits');
    const refusal = refusalOfName(name, platform);
    if (refusal !== undefined) return refused('NAME', `such a name cannot be in a share here (${refusal})`);
    if (kind !== ContentKind.CONTENT_KIND_FILE && kind !== ContentKind.CONTENT_KIND_FOLDER)
      return refused('NAME', 'neither a file nor a folder');
    if (!Number.isSafeInteger(length) || length > mostFileBytes) return refused('QUOTA', 'too many bytes');
    const key = `${from} ${fileId}`;
    if (running(fileId) !== undefined) return pulling;
    const ended = this.#ended.get(key);
    this.#ended.delete(key);
    // Said once, to who asks how it went; asked again, it is another try.
    if (ended !== undefined) return ended;
    if (isHeld(fileId)) return held;
    if (limits.quota.bytes === 0) return refused('POLICY', 'this member takes no offers');
    // Whoever offers asks again.
    if (this.#looked.has(fileId)) return pulling;
    if ((this.#taken.get(from) ?? 0) >= offersOfOne) return refused('BUSY', 'too many offers at once');
    const why = limits.quota.promise(fileId, length);
    if (why !== undefined)
      return refused(why, why === 'BUSY' ? 'too many offers at once' : 'more than may be brought here by offers');
    this.#looked.add(fileId);
    let contact: Contact;
    try {
      if (!(await hasRoom(length))) {
        limits.settleOffer(fileId, false);
        return refused('DISK_FULL', 'there is no room for it on the disk');
      }
      contact = (await locator.contactOf(from)) ?? { memberId: from, name: shortId(from), addresses: [] };
    } finally {
      this.#looked.delete(fileId);
    }
    // The owner may have asked for it meanwhile.
    if (running(fileId) !== undefined) {
      limits.settleOffer(fileId, false);
      return pulling;
    }
    const transfer = begin({ id: fileId, path: name as SharePath, from: [contact], mostBytes: length });
    this.#follow(transfer, fileId, from);
    return pulling;
  }

  /** One that was taken before the daemon started again. @param length that was promised, in bytes */
  resume(transfer: OwnTransfer, { id, from, length }: { id: ContentId; from: MemberId; length: number }): void {
    this.#needs.limits.quota.promise(id, length);
    this.#follow(transfer, id, from);
  }

  #follow(transfer: OwnTransfer, fileId: ContentId, from: MemberId): void {
    const { limits } = this.#needs;
    const key = `${from} ${fileId}`;
    this.#count(from, 1);
    const giveUp = givesUp(transfer);
    void transfer.done.then(view => {
      clearInterval(giveUp);
      this.#count(from, -1);
      const hasCome = view.state === TransferPhase.TRANSFER_PHASE_DONE;
      limits.settleOffer(fileId, hasCome);
      const answer = hasCome ? held : refused(view.reason || 'CANCELLED', view.detail || 'it was cancelled there');
      if (isOver(view)) remember(this.#ended, key, answer, remembered);
    });
  }

  #count(from: MemberId, by: 1 | -1): void {
    const count = (this.#taken.get(from) ?? 0) + by;
    if (count > 0) this.#taken.set(from, count);
    else this.#taken.delete(from);
  }
}

/** What is offered and never sent must not keep others' offers out. */
function givesUp(transfer: OwnTransfer): NodeJS.Timeout {
  let verified = -1;
  let idleMs = 0;
  const timer = setInterval(() => {
    const now = transfer.view();
    const isIdle = now.state === TransferPhase.TRANSFER_PHASE_LOCATING && now.verified === verified;
    verified = now.verified;
    idleMs = isIdle ? idleMs + lookMs : 0;
    if (idleMs >= givenUpMs) void transfer.cancel();
  }, lookMs);
  return timer.unref();
}

const held: OfferResponse = { verdict: OfferVerdict.OFFER_VERDICT_HELD, reason: '', detail: '' };
const pulling: OfferResponse = { verdict: OfferVerdict.OFFER_VERDICT_PULLING, reason: '', detail: '' };

function refused(reason: string, detail: string): OfferResponse {
  return { verdict: OfferVerdict.OFFER_VERDICT_REFUSED, reason, detail };
}
