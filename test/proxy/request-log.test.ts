import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { LineWriter } from '../../services/proxy/line-writer.ts';
import { formatConsole, formatJson, type RequestRecord } from '../../services/proxy/request-log.ts';

/** The request of the origin's own example (issue 2). */
const answered: RequestRecord = {
  client: '181.136.32.82',
  method: 'GET',
  target: '/form?x=1',
  status: 200,
  seconds: 0.259,
  service: 'web',
  by: { upstream: '54.152.81.179:8080' },
  traceparent: undefined,
};

describe('the console', () => {
  test('says who asked, how long it took and who answered, as the origin did', () => {
    expect(formatConsole(answered)).toBe('[*] Request done: 181.136.32.82 => 0.259s <= 54.152.81.179');
  });

  test('says that the cache answered, as the origin did', () => {
    expect(formatConsole({ ...answered, by: 'cache' })).toBe('[*] Request done. Cache response to => 181.136.32.82');
  });

  test.each([
    [0.0004, '0.000s'],
    [0.2594, '0.259s'],
    [0.2596, '0.260s'],
    [12, '12.000s'],
  ])('gives %f s as %s', (seconds, text) => {
    expect(formatConsole({ ...answered, seconds })).toContain(` => ${text} <= `);
  });

  test.each([
    ['54.152.81.179:80', '54.152.81.179'],
    ['127.0.0.1:3001', '127.0.0.1:3001'],
    ['127.0.0.1:18080', '127.0.0.1:18080'],
    ['[::1]:8080', '[::1]'],
    ['[::8080]', '[::8080]'],
    ['[::80]:3000', '[::80]:3000'],
    ['backend.example', 'backend.example'],
  ])('names upstream %s as %s', (upstream, named) => {
    expect(formatConsole({ ...answered, by: { upstream } }).split(' <= ')[1]).toBe(named);
  });

  test('says what went wrong when nobody answered', () => {
    const failed = { ...answered, status: 504, seconds: 30, by: { reason: 'no answer within the deadline' } };
    expect(formatConsole(failed)).toBe(
      '[*] Request failed: 181.136.32.82 => 30.000s 504 no answer within the deadline',
    );
  });

  test.each([
    { by: { reason: 'boom\n[*] Request done: 10.0.0.1 => 0.001s <= 10.0.0.2' } },
    { by: { upstream: 'a\r\n[*] forged' } },
    { by: { reason: '\u001b[2Jcleared\u009b' } },
  ])('stays one line without control characters, whatever a worker says: %j', some => {
    expect(formatConsole({ ...answered, ...some })).not.toMatch(/\p{Cc}/u);
  });
});

describe('the structured log', () => {
  const time = '2026-01-02T12:00:00.000Z';
  const parse = (record: RequestRecord): unknown => JSON.parse(formatJson(record, time));

  test('has one line of JSON a request', () => {
    expect(parse(answered)).toEqual({
      time,
      level: 'info',
      event: 'request',
      client: '181.136.32.82',
      method: 'GET',
      target: '/form?x=1',
      status: 200,
      seconds: 0.259,
      service: 'web',
      upstream: '54.152.81.179:8080',
    });
    expect(formatJson({ ...answered, target: '/a\nb' }, time)).not.toContain('\n');
  });

  test('says what the cache answered and what nobody did', () => {
    expect(parse({ ...answered, by: 'cache' })).toMatchObject({ cache: 'hit', level: 'info' });
    expect(parse({ ...answered, status: 404, by: { reason: 'no route' } })).toMatchObject({
      reason: 'no route',
      level: 'info',
    });
    for (const status of [500, 502]) {
      expect(parse({ ...answered, status, by: { reason: 'refused' } })).toMatchObject({ level: 'error' });
    }
  });

  test('names the trace (W3C Trace Context §3.2.2.3)', () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    expect(parse({ ...answered, traceparent })).toMatchObject({ trace: '0af7651916cd43dd8448eb211c80319c' });
  });

  test('counts in whole microseconds', () => {
    expect(parse({ ...answered, seconds: 0.1 + 0.2 })).toMatchObject({ seconds: 0.3 });
  });
});

describe('a line writer', () => {
  test('writes the lines of one turn together and in order, and those of the next apart', async () => {
    const written: string[] = [];
    const lines = new LineWriter(text => written.push(text));
    lines.line('a');
    lines.line('b');
    expect(written).toEqual([]);
    await turn();
    expect(written).toEqual(['a\nb\n']);
    lines.line('c');
    await turn();
    expect(written).toEqual(['a\nb\n', 'c\n']);
  });

  test('writes at once when it is flushed, and nothing twice', async () => {
    const written: string[] = [];
    const lines = new LineWriter(text => written.push(text));
    lines.line('a');
    lines.flush();
    lines.flush();
    expect(written).toEqual(['a\n']);
    lines.line('b');
    await turn();
    await turn();
    expect(written).toEqual(['a\n', 'b\n']);
  });
});
