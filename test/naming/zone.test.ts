import { describe, expect, test } from 'vitest';
import { parseHostPort } from '../../services/naming/host-port.ts';
import { answerFrom } from '../../services/naming/zone.ts';
import { memberNamed, sample, servedAt, zonesOf } from './zones-under-test.ts';

const types = { A: 1, NS: 2, SOA: 6, MX: 15, TXT: 16, AAAA: 28, SRV: 33, IXFR: 251, AXFR: 252, ANY: 255 };
const ask = (name: string, type: keyof typeof types) => answerFrom(sample, name, types[type]);
const soa = (name: string) => expect.objectContaining({ name, type: 'SOA' });

describe('a name that is served', () => {
  test('has its addresses, best first', () => {
    expect(ask('backend.com', 'A')).toEqual({
      rcode: 'NOERROR',
      answers: [{ name: 'backend.com', type: 'A', data: '10.0.0.1' }],
      authorities: [],
      additionals: [],
    });
    expect(ask('backend.com', 'AAAA').answers).toEqual([{ name: 'backend.com', type: 'AAAA', data: 'fd00::1' }]);
  });

  test('has its service, with glue for the targets that are ours', () => {
    const host = `${memberNamed('abc').slice(0, 12)}.backend.com`;
    const { answers, additionals } = ask('_chat._tcp.backend.com', 'SRV');
    expect(answers.map(({ data }) => data)).toEqual([
      { priority: 0, weight: 0, port: 50_051, target: host },
      { priority: 1, weight: 0, port: 99, target: 'host.example' },
    ]);
    expect(additionals).toEqual([
      { name: host, type: 'A', data: '10.0.0.1' },
      { name: host, type: 'AAAA', data: 'fd00::1' },
    ]);
    expect(ask(host, 'A').answers).toEqual([{ name: host, type: 'A', data: '10.0.0.1' }]);
  });

  test('says its epoch', () => {
    const [record] = ask('backend.com', 'TXT').answers;
    expect(record?.data).toEqual(['epoch=7', `member=${memberNamed('abc')}`, 'migration=m7', 'lease=held']);
  });

  test('whose holder is not heard of has no address, and its epoch still', () => {
    for (const name of ['silent.lab', '_chat._tcp.silent.lab'])
      for (const type of ['A', 'SRV'] as const)
        expect(ask(name, type)).toMatchObject({ rcode: 'NOERROR', answers: [], authorities: [soa('lab')] });
    expect(ask('silent.lab', 'TXT').answers[0]?.data).toContain('lease=ended');
  });

  test('that has latents only is there, and has nothing', () => {
    for (const type of ['A', 'TXT', 'SRV'] as const)
      expect(ask('waiting.lab', type)).toMatchObject({ rcode: 'NOERROR', answers: [], authorities: [soa('lab')] });
  });

  test('too long for its host below it is its own target', () => {
    const owner = `${'o'.repeat(61)}.${Array(3).fill('o'.repeat(58)).join('.')}.lab`;
    expect(owner.length).toBeLessThanOrEqual(253 - '_chat._tcp.'.length);
    const zones = zonesOf(['lab'], { [owner]: servedAt(['10.0.0.1:1']) });
    const { answers, additionals } = answerFrom(zones, `_chat._tcp.${owner}`, types.SRV);
    expect(answers[0]?.data).toMatchObject({ target: owner });
    expect(additionals).toEqual([{ name: owner, type: 'A', data: '10.0.0.1' }]);
  });
});

describe('a zone', () => {
  test('has its SOA and its server, with glue', () => {
    expect(ask('lab', 'SOA').answers).toMatchObject([
      { type: 'SOA', data: { mname: 'ns.lab', rname: 'hostmaster.lab', serial: 42, minimum: 1 } },
    ]);
    expect(ask('lab', 'NS')).toMatchObject({
      answers: [{ type: 'NS', data: 'ns.lab' }],
      additionals: [{ name: 'ns.lab', type: 'A', data: '127.0.0.1' }],
    });
    expect(ask('backend.com', 'SOA').answers).toHaveLength(1);
    expect(ask('ns.lab', 'A').answers).toHaveLength(1);
  });

  test.each([
    ['a name that there is not', 'nobody.lab', 'NXDOMAIN'],
    ['below one that there is', 'x.silent.lab', 'NXDOMAIN'],
    ['below the service', 'x._chat._tcp.backend.com', 'NXDOMAIN'],
    ['the service of a name that there is not', '_chat._tcp.nobody.lab', 'NXDOMAIN'],
    ['another service', '_web._tcp.backend.com', 'NXDOMAIN'],
    ["a member's host that does not serve it", '000000000000.backend.com', 'NXDOMAIN'],
    ['only names below it', 'down.lab', 'NOERROR'],
    ['only the service below it', '_tcp.backend.com', 'NOERROR'],
  ])('denies %s with its SOA', (_, name, rcode) => {
    const origin = name.endsWith('lab') ? 'lab' : 'backend.com';
    expect(ask(name, 'A')).toMatchObject({ rcode, answers: [], authorities: [soa(origin)] });
  });

  test('denies a type that a name has not with its SOA', () => {
    expect(ask('backend.com', 'MX')).toMatchObject({
      rcode: 'NOERROR',
      answers: [],
      authorities: [soa('backend.com')],
    });
  });

  test('says no more to ANY than that it does not (RFC 8482)', () => {
    expect(ask('backend.com', 'ANY').answers).toEqual([
      { name: 'backend.com', type: 'HINFO', data: { cpu: 'RFC8482', os: '' } },
    ]);
    expect(ask('nobody.lab', 'ANY')).toMatchObject({ rcode: 'NXDOMAIN' });
  });

  test.each([
    ['outside.org', 'A'],
    ['', 'NS'],
    ['com', 'NS'],
    ['notbackend.com', 'A'],
    ['backend.com', 'AXFR'],
    ['lab', 'IXFR'],
  ] as const)('%s %s is refused', (name, type) => {
    expect(ask(name, type)).toEqual({ rcode: 'REFUSED', answers: [], authorities: [], additionals: [] });
  });

  test('inside of another is the one that answers', () => {
    const zones = zonesOf(['lab', 'down.lab'], { 'deep.down.lab': servedAt(['10.0.0.3:1']) });
    expect(answerFrom(zones, 'x.down.lab', types.A).authorities).toEqual([soa('down.lab')]);
  });
});

describe('addresses', () => {
  test.each([
    ['10.0.0.1:50051', { host: '10.0.0.1', family: 4, port: 50_051 }],
    ['[fd00::1]:1', { host: 'fd00::1', family: 6, port: 1 }],
    ['[::]:65535', { host: '::', family: 6, port: 65_535 }],
    ['[1:2:3:4:5:6:7:8]:1', { host: '1:2:3:4:5:6:7:8', family: 6, port: 1 }],
    ['[::ffff:10.0.0.1]:1', { host: '::ffff:10.0.0.1', family: 6, port: 1 }],
    ['Host.example:99', { host: 'Host.example', family: undefined, port: 99 }],
  ])('%s is one', (text, parsed) => expect(parseHostPort(text)).toEqual(parsed));

  test.each([
    ...['', '10.0.0.1', '10.0.0.1:0', '10.0.0.1:65536', '10.0.0.256:1', '1.2.3:1', 'fd00::1:1', '[fd00::1]', '[g::]:1'],
    ...[
      '[1::2::3]:1',
      '[1:2:3:4:5:6:7]:1',
      '[::1:2:3:4:5:6:7:8]:1',
      '[1.2.3.4::]:1',
      '[::1.2.3]:1',
      '-a.b:1',
      'a..b:1',
    ],
    ...['a_b:1', 'a b:1', 'a:b:1', '[fe80::1%eth0]:1', 'http://a:1'],
  ])('%j is none', text => expect(parseHostPort(text)).toBeUndefined());
});
