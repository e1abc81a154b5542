import dnsPacket from 'dns-packet';
import { answerTo } from '../../services/naming/dns-message.ts';
import { seededRandom } from '../support/seeded.ts';
import { longName, sample } from './zones-under-test.ts';

const names = [
  'backend.com',
  '_chat._tcp.backend.com',
  longName,
  longName,
  `_chat._tcp.${longName}`,
  'lab',
  'x.lab',
  'org',
  '.',
];
const types: readonly dnsPacket.RecordType[] = [
  'A',
  'A',
  'A',
  'AAAA',
  'SRV',
  'TXT',
  'SOA',
  'NS',
  'MX',
  'OPT',
  'AXFR',
  'NULL',
];

/** A stream of packets: none random, some only a little wrong, and some that are right. */
export function packets(seed: number): () => Buffer {
  const random = seededRandom(seed);
  const below = (count: number): number => Math.floor(random() * count);
  const pick = <T>(all: readonly T[]): T => all[below(all.length)] as T;
  const bytes = (count: number): Buffer => Buffer.from(Array.from({ length: count }, () => below(256)));

  const query = (): Buffer => {
    const opt: dnsPacket.OptAnswer = {
      type: 'OPT',
      name: '.',
      udpPayloadSize: pick([0, 511, 512, 700, 1232, 4096, 65_535]),
      extendedRcode: 0,
      ednsVersion: pick([0, 0, 0, 1]),
      flags: pick([0, dnsPacket.DNSSEC_OK]),
      flag_do: false,
      options: [],
    };
    const questions = Array.from({ length: pick([1, 1, 1, 1, 0, 2]) }, () => ({
      name: pick(names),
      type: pick(types),
    }));
    return dnsPacket.encode({
      type: 'query',
      id: below(65_536),
      flags: pick([0, dnsPacket.RECURSION_DESIRED]),
      questions,
      additionals: pick([[], [opt], [opt], [opt, opt]]),
    });
  };
  const mutated = (): Buffer => {
    let packet = query();
    for (let i = 1 + below(4); i > 0; i--) {
      const at = below(packet.length + 1);
      const cut = Math.min(packet.length, at + below(8));
      switch (below(5)) {
        case 0:
          if (at < packet.length) packet[at] = below(256);
          break;
        case 1:
          packet = packet.subarray(0, at);
          break;
        case 2:
          packet = Buffer.concat([packet.subarray(0, at), bytes(below(20)), packet.subarray(at)]);
          break;
        case 3:
          packet = Buffer.concat([packet.subarray(0, at), packet.subarray(cut)]);
          break;
        default:
          // A pointer, or a count.
          if (at + 2 <= packet.length) packet.writeUInt16BE(pick([0xc00c, 0xc000 | below(64), 0xffff, 1, 3]), at);
      }
    }
    return packet;
  };
  return () => {
    const kind = below(10);
    if (kind === 0) return bytes(below(600));
    if (kind === 1) return Buffer.concat([query().subarray(0, 12), bytes(below(80))]);
    return kind < 8 ? mutated() : query();
  };
}

/** What an asker has said that it takes, as a reader of its own sees it. */
function allowedBytes(packet: Buffer): number {
  try {
    const opt = dnsPacket.decode(packet).additionals?.find(({ type }) => type === 'OPT');
    return opt?.type === 'OPT' ? Math.min(1232, Math.max(512, opt.udpPayloadSize)) : 512;
  } catch {
    return 512;
  }
}

export interface Fuzzed {
  readonly answered: number;
  readonly truncated: number;
  /** What should not be, at the first packet where it was. */
  readonly problem: string | undefined;
}

/** Answers that many packets, and looks at each answer. */
export function fuzz(count: number, seed: number): Fuzzed {
  const next = packets(seed);
  let answered = 0;
  let truncated = 0;
  for (let i = 0; i < count; i++) {
    const packet = next();
    const at = (): string => `packet ${i} of seed ${seed}: ${packet.toString('hex')}`;
    try {
      for (const transport of ['udp', 'tcp'] as const) {
        const answer = answerTo(packet, transport, sample);
        if (answer === undefined) continue;
        const limit = transport === 'udp' ? allowedBytes(packet) : 65_535;
        if (answer.length > limit)
          return { answered, truncated, problem: `${answer.length} bytes over ${limit}: ${at()}` };
        const { id, type, flag_tc } = dnsPacket.decode(answer);
        if (id !== packet.readUInt16BE(0) || type !== 'response')
          return { answered, truncated, problem: `an answer to something else: ${at()}` };
        if (dnsPacket.decode.bytes !== answer.length)
          return { answered, truncated, problem: `more than a message: ${at()}` };
        answered++;
        if (flag_tc) truncated++;
        const isBrief = answerTo(packet, 'udp', sample, true);
        // The question and an OPT of ours, at most.
        if (isBrief !== undefined && isBrief.length > packet.length + 11)
          return { answered, truncated, problem: `a brief answer of ${isBrief.length} bytes: ${at()}` };
      }
    } catch (error) {
      return { answered, truncated, problem: `${(error as Error).stack}: ${at()}` };
    }
  }
  return { answered, truncated, problem: undefined };
}
