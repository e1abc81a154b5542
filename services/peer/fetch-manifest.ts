import { ContentKind } from '../../proto/gen/warren/peer/v1/peer.ts';
import type { Client } from '../lib/rpc/definition.ts';
import { type ContentId, checkHead, checkPart, type ManifestHead, partCount, pieceCount } from './merkle.ts';
import type { SwarmService } from './piece-frame.ts';
import { sha256 } from './sha256.ts';

export interface Manifest {
  readonly head: ManifestHead;
  /** Of all pieces. */
  readonly leaves: Uint8Array;
}

/**
 * From one source, all checked against the id: nothing of what it says is held that is not.
 * @throws Failure PEER_MANIFEST when it is not that of the id, CallFailure
 */
export async function fetchManifest(
  client: Client<SwarmService>,
  id: ContentId,
  signal: AbortSignal,
): Promise<Manifest> {
  const first = await client.getManifest({ fileId: id, part: 0 }, { signal });
  const kind = first.kind === ContentKind.CONTENT_KIND_FOLDER ? 'folder' : 'file';
  const head: ManifestHead = { kind, length: first.length, partRoots: first.partRoots };
  checkHead(sha256, id, head);
  const leaves = Buffer.alloc(pieceCount(head.length) * 32);
  let at = 0;
  for (let part = 0; part < partCount(head.length); part++) {
    const answer = part === 0 ? first : await client.getManifest({ fileId: id, part }, { signal });
    checkPart(sha256, head, part, answer.leaves);
    leaves.set(answer.leaves, at);
    at += answer.leaves.length;
  }
  return { head, leaves };
}
