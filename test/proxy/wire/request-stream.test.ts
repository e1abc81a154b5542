import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Fault } from '../../../services/proxy/wire/fault.ts';
import { RequestStream } from '../../../services/proxy/wire/request-stream.ts';
import { parseRequests } from '../../support/strict-http.ts';

const limits = { head: 2_000, methods: new Set(['GET', 'POST', 'OPTIONS']) };

interface Outcome {
  /** What was passed, as text. */
  readonly passed: string;
  readonly fault: Fault | undefined;
}

function run(pieces: readonly Buffer[]): Outcome {
  let passed = '';
  let fault: Fault | undefined;
  const stream = new RequestStream(
    {
      head: () => expect(fault).toBeUndefined(),
      pass: octets => {
        expect(fault).toBeUndefined();
        passed += octets.toString('latin1');
        return true;
      },
      refuse: what => {
        expect(fault).toBeUndefined();
        fault = what;
      },
    },
    limits,
  );
  for (const piece of pieces) stream.write(piece);
  return { passed, fault };
}

function cut(text: string, places: readonly number[]): Buffer[] {
  const octets = Buffer.from(text, 'latin1');
  const sorted = [...new Set(places.map(place => place % (octets.length + 1)))].sort((a, b) => a - b);
  return [...sorted, octets.length].map((end, i) => octets.subarray(sorted[i - 1] ?? 0, end));
}

const binary = (minLength: number, maxLength: number) =>
  fc.uint8Array({ minLength, maxLength }).map(octets => Buffer.from(octets).toString('latin1'));
const token = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^`|~-]{1,12}$/);
const value = fc.stringMatching(/^[!-~\x80-\xff]([\t -~\x80-\xff]{0,20}[!-~\x80-\xff])?$/);
const own = new Set(['content-length', 'transfer-encoding', 'host', 'connection', 'proxy-connection', 'upgrade']);
const field = fc
  .tuple(token, value)
  .filter(([name]) => !own.has(name.toLowerCase()))
  .map(([name, text]) => `${name}: ${text}\r\n`);
const chunk = fc
  .tuple(binary(1, 40), fc.constantFrom('', ';a', ';a=b', ' ; a = "b;\\"c"', ';a;b=c'))
  .map(([data, extension]) => ({ data, wire: `${data.length.toString(16)}${extension}\r\n${data}\r\n` }));
const body = fc.oneof(
  fc.constant({ lines: '', wire: '', data: '' }),
  binary(0, 60).map(data => ({ lines: `Content-Length: ${data.length}\r\n`, wire: data, data })),
  fc.tuple(fc.array(chunk, { maxLength: 4 }), fc.array(field, { maxLength: 2 })).map(([chunks, trailers]) => ({
    lines: 'Transfer-Encoding:\tchunked \r\n',
    wire: `${chunks.map(({ wire }) => wire).join('')}0\r\n${trailers.join('')}\r\n`,
    data: chunks.map(({ data }) => data).join(''),
  })),
);
const request = fc
  .tuple(
    fc.constantFrom('', '\r\n'),
    fc.stringMatching(/^\/[!-~]{0,20}$/),
    fc.constantFrom(1, 2, 9),
    fc.array(field, { maxLength: 4 }),
    body,
  )
  .map(([before, target, minor, fields, { lines, wire, data }]) => ({
    wire: `${before}POST ${target} HTTP/1.${minor}\r\nHost: a\r\n${fields.join('')}${lines}\r\n${wire}`,
    target,
    data,
  }));

describe('a stream of requests', () => {
  test('passes good ones on, each as a strict reader takes it, however they are cut', () => {
    fc.assert(
      fc.property(
        fc.array(request, { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        (requests, places) => {
          const wire = requests.map(each => each.wire).join('');
          const { passed, fault } = run(cut(wire, places));
          expect(fault).toBeUndefined();
          const { requests: read, rest } = parseRequests(passed);
          expect(rest).toBe('');
          expect(read.map(({ target, body }) => [target, body])).toEqual(
            requests.map(({ target, data }) => [target, data]),
          );
        },
      ),
      { numRuns: 500 },
    );
  });

  test('says the same of the same octets however they are cut, one at a time included', () => {
    const octet = fc.constantFrom('\r', '\n', ' ', '\t', ':', ';', '\0', '0', '5', 'x', '"', '\x80', ',');
    const mutation = fc.tuple(fc.nat(), fc.nat({ max: 3 }), fc.array(octet, { maxLength: 3 }));
    fc.assert(
      fc.property(
        fc.array(request, { minLength: 1, maxLength: 3 }),
        fc.array(mutation, { maxLength: 3 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        (requests, mutations, places) => {
          let wire = requests.map(each => each.wire).join('');
          for (const [at, gone, put] of mutations) {
            const place = at % (wire.length + 1);
            wire = wire.slice(0, place) + put.join('') + wire.slice(place + gone);
          }
          const octets = Buffer.from(wire, 'latin1');
          const whole = run([octets]);
          expect(run(cut(wire, places))).toEqual(whole);
          expect(run(Array.from(octets, (_, i) => octets.subarray(i, i + 1)))).toEqual(whole);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('keeps nothing of a body, however long: memory is bounded', () => {
    let longest = 0;
    const stream = new RequestStream(
      {
        head: () => {},
        pass: octets => {
          longest = Math.max(longest, octets.length);
          return true;
        },
        refuse: () => expect.fail(),
      },
      limits,
    );
    stream.write(Buffer.from('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'));
    const piece = Buffer.from(`1000\r\n${'x'.repeat(0x1000)}\r\n`);
    for (let i = 0; i < 1_000; i++) stream.write(piece);
    expect(longest).toBeLessThanOrEqual(piece.length);
  });
});
