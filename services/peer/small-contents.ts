import type { SmallContent } from '../../proto/gen/warren/peer/v1/peer.ts';
import { Failure } from '../lib/failure.ts';
import type { Contents } from './contents.ts';
import { type ContentId, pieceBytes } from './merkle.ts';

/** Ids of one request. */
export const mostSmallIds = 256;
/** Contents of one answer, and about their bytes: as those of a frame. */
const answerContents = 64;
const answerBytes = 256 * 1024;
/** Read at a time: as much as a call for pieces holds. */
const readAtOnce = 8;

/**
 * Contents of one piece each, in answers; what is not here, has changed or is larger is left out.
 * @param mostBytes of one content, asked for each: it follows the rate limit
 */
export async function* readSmall(
  contents: Contents,
  ids: readonly ContentId[],
  mostBytes: () => number,
): AsyncGenerator<SmallContent[]> {
  let answer: SmallContent[] = [];
  let bytes = 0;
  for (let at = 0; at < ids.length; at += readAtOnce) {
    const most = Math.min(pieceBytes, mostBytes());
    const some = ids.slice(at, at + readAtOnce);
    const read = await Promise.all(some.map((id, index) => readOne(contents, id, at + index, most)));
    for (const each of read) {
      if (each === undefined) continue;
      if (answer.length > 0 && (answer.length >= answerContents || bytes + each.data.length > answerBytes)) {
        yield answer;
        [answer, bytes] = [[], 0];
      }
      answer.push(each);
      bytes += each.data.length;
    }
  }
  if (answer.length > 0) yield answer;
}

async function readOne(
  contents: Contents,
  id: ContentId,
  number: number,
  most: number,
): Promise<SmallContent | undefined> {
  try {
    // Of what is on its way here, a listing could be complete and not be held: it is not for here.
    if (contents.stateOf(id) !== 'held') return undefined;
    const source = await contents.open(id);
    try {
      if (source.length > most) return undefined;
      const data = Buffer.allocUnsafe(source.length);
      if (data.length > 0) await source.read(0, [data]);
      return { number, data };
    } finally {
      await source.close();
    }
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}
