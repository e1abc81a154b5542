import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import dnsPacket from 'dns-packet';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { answerTo } from '../../services/naming/dns-message.ts';
import { type DnsOptions, type DnsServer, startDns } from '../../services/naming/dns-server.ts';
import { ResponseLimiter } from '../../services/naming/response-limiter.ts';
import { dig, hasDig } from './dig.ts';
import { longName, memberNamed, sample, servedAt, zonesOf } from './zones-under-test.ts';

const host = `${memberNamed('abc').slice(0, 12)}.backend.com.`;
let server: DnsServer;

function start(options: Partial<DnsOptions> = {}, clock: () => number = () => performance.now()): Promise<DnsServer> {
  return startDns(
    { zones: () => sample, clock, warn: line => expect.unreachable(line) },
    { host: '127.0.0.1', port: 0, rate: 0, ...options },
  );
}

beforeAll(async () => {
  server = await start();
});
afterAll(() => server?.close());

const ask = (name: string, type: string, ...more: string[]) => dig(server.port, name, type, ...more);
const soa = (origin: string) => `${origin} 1 IN SOA ns.${origin} hostmaster.${origin} 42 60 10 600 1`;

describe.skipIf(!hasDig)('dig', () => {
  test.each(['+notcp', '+tcp'])('gets every kind of record (%s)', async transport => {
    const get = async (name: string, type: string) => (await ask(name, type, transport)).answer;
    expect(await get('backend.com', 'A')).toEqual(['backend.com. 1 IN A 10.0.0.1']);
    expect(await get('backend.com', 'AAAA')).toEqual(['backend.com. 1 IN AAAA fd00::1']);
    expect(await get('backend.com', 'TXT')).toEqual([
      `backend.com. 1 IN TXT "epoch=7" "member=${memberNamed('abc')}" "migration=m7" "lease=held"`,
    ]);
    expect(await get('backend.com', 'SOA')).toEqual([soa('backend.com.')]);
    expect(await get('backend.com', 'NS')).toEqual(['backend.com. 1 IN NS ns.backend.com.']);
    expect(await get('backend.com', 'ANY')).toEqual(['backend.com. 1 IN HINFO "RFC8482" ""']);
    const { answer, additional, flags, status } = await ask('_chat._tcp.backend.com', 'SRV', transport);
    expect({ flags, status }).toEqual({ flags: 'qr aa', status: 'NOERROR' });
    expect(answer).toEqual([
      `_chat._tcp.backend.com. 1 IN SRV 0 0 50051 ${host}`,
      '_chat._tcp.backend.com. 1 IN SRV 1 0 99 host.example.',
    ]);
    expect(additional).toEqual([`${host} 1 IN A 10.0.0.1`, `${host} 1 IN AAAA fd00::1`]);
  });

  test('gets its own letters back', async () => {
    const { answer, text } = await ask('bAcKeNd.CoM', 'A');
    expect(answer).toEqual(['bAcKeNd.CoM. 1 IN A 10.0.0.1']);
    expect(text).toContain(';bAcKeNd.CoM.');
  });

  test('is told with the SOA what there is not', async () => {
    expect(await ask('nobody.lab', 'A')).toMatchObject({ status: 'NXDOMAIN', answer: [], authority: [soa('lab.')] });
    expect(await ask('backend.com', 'MX')).toMatchObject({
      status: 'NOERROR',
      answer: [],
      authority: [soa('backend.com.')],
    });
  });

  test.each([
    ['a name outside', ['example.org', 'A'], 'REFUSED'],
    ['the root', ['.', 'NS'], 'REFUSED'],
    ['another class', ['version.bind', 'TXT', '-c', 'CH'], 'REFUSED'],
    ['an inverse query', ['backend.com', 'A', '+opcode=IQUERY'], 'NOTIMP'],
    ['an update', ['backend.com', 'SOA', '+opcode=UPDATE'], 'NOTIMP'],
    ['a query without a question', ['backend.com', 'A', '+header-only'], 'FORMERR'],
    ['a later EDNS', ['backend.com', 'A', '+edns=1', '+noednsneg'], 'BADVERS'],
  ] as [string, [string, string, ...string[]], string][])('%s is answered with its code', async (_, args, status) => {
    const { text } = await ask(...args);
    expect(text).toMatch(new RegExp(`status: ${status}\\b`));
  });

  test('is refused a transfer', async () => {
    const { text } = await ask('backend.com', 'AXFR');
    expect(text).toContain('; Transfer failed.');
  });

  test('asks again over TCP for what is too large', async () => {
    const cut = await ask(longName, 'A', '+ignore');
    expect(cut).toMatchObject({ flags: 'qr aa tc', answer: [] });
    const whole = await ask(longName, 'A');
    expect(whole.answer).toHaveLength(8);
    expect(whole.text).toContain('(TCP)');
    expect(whole.text).toContain(';; Truncated, retrying in TCP mode.');
  });

  test('over UDP is sent no more than it takes, nor than what crosses in one piece', async () => {
    const sizeOf = ({ text }: { text: string }) => Number(/MSG SIZE +rcvd: (\d+)/.exec(text)?.[1]);
    for (const more of [['+noedns'], ['+bufsize=512'], ['+bufsize=1'], ['+bufsize=4096']]) {
      const answer = await ask(longName, 'A', '+ignore', ...more);
      expect(sizeOf(answer)).toBeLessThanOrEqual(512);
      expect(answer.flags).toBe('qr aa tc');
    }
    const glued = await ask('_chat._tcp.backend.com', 'SRV', '+bufsize=4096');
    expect(glued.additional).toHaveLength(2);
  });
});

describe('a message', () => {
  const query = (overrides: dnsPacket.Packet = {}): Buffer =>
    dnsPacket.encode({ type: 'query', id: 9, questions: [{ name: 'backend.com', type: 'A' }], ...overrides });
  const opt = (udpPayloadSize: number): dnsPacket.OptAnswer => ({
    type: 'OPT',
    name: '.',
    udpPayloadSize,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: dnsPacket.DNSSEC_OK,
    flag_do: true,
    options: [],
  });
  const named = (packet: Buffer, at: number): Buffer =>
    Buffer.concat([packet.subarray(0, at), Buffer.from('\x03lab'), packet.subarray(at)]);
  const answer = (packet: Buffer) => {
    const bytes = answerTo(packet, 'udp', sample);
    return bytes === undefined ? undefined : dnsPacket.decode(bytes);
  };
  const rcodeOf = (packet: Buffer) => (answer(packet) as { rcode?: string } | undefined)?.rcode;

  test('that is an answer, or no message, is answered by nothing', () => {
    expect(
      answer(dnsPacket.encode({ type: 'response', questions: [{ name: 'backend.com', type: 'A' }] })),
    ).toBeUndefined();
    expect(answer(query().subarray(0, 11))).toBeUndefined();
  });

  test.each([
    ['torn', query().subarray(0, 20)],
    ['with more behind it', Buffer.concat([query(), Buffer.from('x')])],
    [
      'with two questions',
      query({
        questions: [
          { name: 'a.lab', type: 'A' },
          { name: 'lab', type: 'A' },
        ],
      }),
    ],
    ['with an answer', query({ answers: [{ type: 'A', name: 'lab', data: '1.2.3.4' }] })],
    ['with two extensions', query({ additionals: [opt(512), opt(512)] })],
    ['with an extension of a name', named(query({ additionals: [opt(512)] }), query().length)],
    ['with a pointer for a name', Buffer.concat([query().subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])])],
    ['larger than a query is', Buffer.concat([query(), Buffer.alloc(5_000)])],
  ])('%s is malformed, and nothing of it goes back', (_, packet) => {
    expect(rcodeOf(packet)).toBe('FORMERR');
    expect(answerTo(packet, 'udp', sample)).toHaveLength(12);
  });

  test('has its id, its wish for recursion, its checking disabled and its DNSSEC OK back, and no more', () => {
    const flags = dnsPacket.RECURSION_DESIRED | dnsPacket.CHECKING_DISABLED | dnsPacket.AUTHENTIC_DATA;
    const packet = answer(query({ id: 77, flags, additionals: [opt(4_096)] }));
    expect(packet).toMatchObject({
      id: 77,
      flag_rd: true,
      flag_cd: true,
      flag_ad: false,
      flag_ra: false,
      flag_aa: true,
    });
    expect(packet?.additionals).toMatchObject([{ type: 'OPT', udpPayloadSize: 1232, flag_do: true }]);
  });

  test('with a dot inside of a label is not of the zone that it looks like', () => {
    const name = Buffer.from('\x0cevil.backend\x03com\0\0\x01\0\x01', 'latin1');
    expect(rcodeOf(Buffer.concat([query().subarray(0, 12), name]))).toBe('REFUSED');
  });

  test('loses its glue before its answer', () => {
    const name = `${'n'.repeat(60)}.${'n'.repeat(60)}.lab`;
    const zones = zonesOf(['lab'], { [name]: servedAt(['10.0.0.1:1', '10.0.0.2:1']) });
    const asked = query({ questions: [{ name: `_chat._tcp.${name}`, type: 'SRV' }] });
    const [small, whole] = (['udp', 'tcp'] as const).map(transport =>
      dnsPacket.decode(answerTo(asked, transport, zones) ?? Buffer.alloc(0)),
    );
    expect(whole?.additionals).toHaveLength(2);
    expect(small).toMatchObject({ flag_tc: false, answers: whole?.answers, additionals: [] });
  });
});

describe('too many questions', () => {
  test('are answered at the rate, then half of them briefly and half not at all', () => {
    const limiter = new ResponseLimiter({ perSecond: 10 });
    const next = (now: number, count: number, address = 'here') =>
      Array.from({ length: count }, () => limiter.next(address, now));
    expect(next(0, 20)).toEqual(Array(20).fill('whole'));
    expect(next(0, 4)).toEqual(['brief', 'none', 'brief', 'none']);
    expect(next(0, 1, 'elsewhere')).toEqual(['whole']);
    expect(next(1_000, 11).filter(each => each === 'whole')).toHaveLength(10);
  });

  test.skipIf(!hasDig)('leave an asker TCP, and send who did not ask no more than was sent in its name', async () => {
    const slow = await start({ rate: 1 }, () => 0);
    onTestFinished(() => slow.close());
    const socket = createSocket('udp4');
    onTestFinished(() => void socket.close());
    const query = dnsPacket.encode({ type: 'query', questions: [{ name: 'backend.com', type: 'TXT' }] });
    const answers: Buffer[] = [];
    const done = Promise.withResolvers<void>();
    socket.on('message', answer => {
      answers.push(answer);
      if (answers.length === 2 + 50) done.resolve();
    });
    for (let i = 0; i < 102; i++) socket.send(query, slow.port, '127.0.0.1');
    await done.promise;
    expect(answers.filter(({ length }) => length > query.length)).toHaveLength(2);
    for (const answer of answers.slice(2))
      expect(dnsPacket.decode(answer)).toMatchObject({ flag_tc: true, answers: [] });
    // Of two questions one is told so.
    const { answer, text } = await dig(slow.port, 'backend.com', 'A', '+tries=3', '+retry=3', '+time=1');
    expect(answer).toEqual(['backend.com. 1 IN A 10.0.0.1']);
    expect(text).toContain('(TCP)');
  });
});

describe('over TCP', () => {
  const query = (id: number, name = 'backend.com'): Buffer =>
    dnsPacket.streamEncode({ type: 'query', id, questions: [{ name, type: 'A' }] });
  const open = async (port = server.port): Promise<Socket> => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => {});
    onTestFinished(() => void socket.destroy());
    await once(socket, 'connect');
    return socket;
  };
  /** Ids of the answers, as they come. */
  async function* answers(socket: Socket): AsyncGenerator<number> {
    let held = Buffer.alloc(0);
    for await (const bytes of socket) {
      held = Buffer.concat([held, bytes as Buffer]);
      for (let length = 0; held.length >= 2; held = held.subarray(2 + length)) {
        length = held.readUInt16BE(0);
        if (held.length < 2 + length) break;
        yield held.readUInt16BE(2);
      }
    }
  }

  test('queries one behind the other are answered in order, also in pieces, and all of many', async () => {
    const warned: string[] = [];
    const onWarning = ({ name }: Error): void => void warned.push(name);
    process.on('warning', onWarning);
    onTestFinished(() => void process.off('warning', onWarning));
    const socket = await open();
    const count = 20_000;
    const all = Buffer.concat(Array.from({ length: count }, (_, id) => query(id, longName)));
    socket.write(all.subarray(0, 1));
    setImmediate(() => {
      socket.write(all.subarray(1, 33));
      socket.write(all.subarray(33));
    });
    const ids: number[] = [];
    for await (const id of answers(socket)) if (ids.push(id) === count) break;
    expect(ids.length).toBe(count);
    expect(ids.findIndex((id, i) => id !== i)).toBe(-1);
    expect(warned).toEqual([]);
  });

  test('whoever asks nothing, or a query byte by byte, is cut off', async () => {
    const hasty = await start({ tcp: { idleMs: 200, connections: 10, connectionsOfOne: 10 } });
    onTestFinished(() => hasty.close());
    const silent = await open(hasty.port);
    const slow = await open(hasty.port);
    const bytes = query(1);
    let at = 0;
    const drip = setInterval(() => void slow.write(bytes.subarray(at, ++at)), 20);
    onTestFinished(() => clearInterval(drip));
    silent.resume();
    slow.resume();
    await Promise.all([once(silent, 'close'), once(slow, 'close')]);
    expect(at).toBeLessThan(bytes.length);
  });

  test.each([
    ['that is too long', Buffer.from([0xff, 0xff, 0, 0])],
    ['that is an answer', dnsPacket.streamEncode({ type: 'response', id: 1 })],
    ['of no length', Buffer.from([0, 0])],
  ])('a message %s ends the connection', async (_, bytes) => {
    const socket = await open();
    socket.write(bytes);
    socket.resume();
    await once(socket, 'close');
  });

  test.skipIf(!hasDig)('one address has so many connections, and others still have theirs', async () => {
    const few = await start({ tcp: { idleMs: 600_000, connections: 10, connectionsOfOne: 2 } });
    onTestFinished(() => few.close());
    const [first] = [await open(few.port), await open(few.port)];
    const third = await open(few.port);
    third.resume();
    await once(third, 'close');
    first.destroy();
    await once(first, 'close');
    const { answer } = await dig(few.port, 'backend.com', 'A', '+tcp', '+tries=3', '+retry=3');
    expect(answer).toHaveLength(1);
  });
});

test.each(['TCP', 'UDP'])('a port that is taken for %s is one line', async transport => {
  const port = await (async () => {
    if (transport === 'TCP') {
      const taken = createServer().listen(0, '127.0.0.1');
      onTestFinished(() => void taken.close());
      await once(taken, 'listening');
      return (taken.address() as { port: number }).port;
    }
    const taken = createSocket('udp4').bind(0, '127.0.0.1');
    onTestFinished(() => void taken.close());
    await once(taken, 'listening');
    return taken.address().port;
  })();
  await expect(start({ port })).rejects.toMatchObject({
    code: 'PORT_TAKEN',
    message: `port 127.0.0.1:${port} is taken by another process: choose another, or stop that one`,
  });
});
