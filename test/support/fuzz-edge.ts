import { connect } from 'node:net';
import { mutatedRequests } from './mutations.ts';
import type { RawEdge } from './raw-edge.ts';
import { seededRandom } from './seeded.ts';
import { parseResponses, readRequests, type StrictRequest, valuesOf } from './strict-http.ts';

/** A connection that is neither answered nor closed for so long hangs. */
const hangMs = 20_000;

/**
 * Sends `count` connections' worth of spoilt requests, each from an address of its own, so that the origin knows them apart, and each with
 * an end behind it. @throws at the first connection that hangs, gets what is no HTTP, or of which the origin gets another request than it means
 */
export async function fuzzEdge(
  edge: RawEdge,
  count: number,
  seed: number,
): Promise<{ forwarded: number; refused: number }> {
  const tally = { forwarded: 0, refused: 0 };
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const number = next++;
      const address = `127.${1 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
      const sent = mutatedRequests(String(number), seededRandom(seed + number));
      const answer = await talk(edge.port, address, sent);
      const where = `connection ${number}: ${JSON.stringify(sent)} → ${JSON.stringify(answer)}`;
      const meant = readRequests(sent);
      try {
        judgeAnswer(
          answer,
          meant.map(({ method }) => method),
        );
      } catch (error) {
        throw new Error(`${where}: ${error}`);
      }
      const got = edge.origin.requests.filter(({ fields }) => valuesOf(fields, 'x-forwarded-for')[0] === address);
      for (const request of got) edge.origin.requests.splice(edge.origin.requests.indexOf(request), 1);
      for (const request of got) {
        const index = meant.findIndex(each => isSame(each, request));
        if (index < 0)
          throw new Error(
            `${where}: the origin got ${JSON.stringify(request)}, the client meant ${JSON.stringify(meant)}`,
          );
        meant.splice(index, 1);
        tally.forwarded++;
      }
      if (/^HTTP\/1\.1 [45]/m.test(answer)) tally.refused++;
      if (edge.origin.complaints.length > 0) throw new Error(`${where}: ${edge.origin.complaints[0]}`);
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  return tally;
}

function isSame(meant: { method: string; target: string; body: string }, got: StrictRequest): boolean {
  return meant.method === got.method && meant.target === got.target && meant.body === got.body;
}

/** What was refused after the requests that are beyond doubt may have been HEAD. */
function judgeAnswer(answer: string, methods: readonly string[]): void {
  const rests = ['GET', 'HEAD'].map(last => parseResponses(answer, [...methods, last]).rest);
  if (!rests.includes('')) throw new Error(`${JSON.stringify(rests[0])} is left over`);
}

function talk(port: number, localAddress: string, sent: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress, allowHalfOpen: true, noDelay: true });
    let received = '';
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`hangs: ${JSON.stringify(sent)} → ${JSON.stringify(received)}`));
    }, hangMs);
    socket.on('data', octets => {
      received += octets.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(received);
    });
    socket.end(Buffer.from(sent, 'latin1'));
  });
}
