import dnsPacket from 'dns-packet';
import { answerFrom, type RecordData, ttl, type ZoneAnswer, type Zones } from './zone.ts';

const headerBytes = 12;
/** RFC 1035 §4.2.1, for who says nothing of EDNS. */
const plainUdpBytes = 512;
/** What crosses almost every path in one piece (DNS flag day 2020); also what we say that we take. */
const largestUdpBytes = 1232;
/** A question has 271 octets at most, and options do not grow so far. */
export const largestQueryBytes = 4096;

const rcodes = { NOERROR: 0, FORMERR: 1, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, BADVERS: 16 } as const;
type Rcode = keyof typeof rcodes;

const flags = {
  response: 0x8000,
  opcode: 0x7800,
  authoritative: 0x0400,
  truncated: 0x0200,
  desired: 0x0100,
  unchecked: 0x0010,
};
const classIn = 1;

/** The extension that a query carries (RFC 6891), as far as we heed it. */
interface Edns {
  readonly udpBytes: number;
  readonly version: number;
  /** "DNSSEC OK", which is copied (RFC 3225 §3). */
  readonly isDnssecOk: boolean;
}

interface Question {
  /** As the asker wrote it. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** Its octets, which go back as they came: askers check their letters' case against forgeries. */
  readonly bytes: Buffer;
}

/**
 * One DNS message answered by another; undefined: no answer, since none is asked for (or two servers would answer each other for
 * ever). An answer over UDP is never larger than the asker said, nor than 512 octets if it said nothing.
 * @param isBrief only that it is to be asked over TCP, whatever the answer would be
 */
export function answerTo(query: Buffer, transport: 'udp' | 'tcp', zones: Zones, isBrief = false): Buffer | undefined {
  if (query.length < headerBytes) return undefined;
  const head = query.readUInt16BE(2);
  if ((head & flags.response) !== 0) return undefined;
  if ((head & flags.opcode) !== 0) return bare(query, 'NOTIMP');
  const question = query.length <= largestQueryBytes ? questionOf(query) : undefined;
  if (question === undefined) return bare(query, 'FORMERR');
  const edns = ednsOf(query, headerBytes + question.bytes.length);
  if (edns === 'malformed') return bare(query, 'FORMERR');

  const limit = transport === 'tcp' ? 65_535 : udpLimit(edns);
  const reply = (rcode: Rcode, zoneAnswer: Omit<ZoneAnswer, 'rcode'>, more = 0): Buffer =>
    encode(
      { id: query.readUInt16BE(0), flags: (head & (flags.desired | flags.unchecked)) | more, rcode },
      question,
      zoneAnswer,
      edns,
    );
  const nothing = { answers: [], authorities: [], additionals: [] };
  if (isBrief) return reply('NOERROR', nothing, flags.truncated);
  if (edns !== undefined && edns.version !== 0) return reply('BADVERS', nothing);
  if (question.class !== classIn) return reply('REFUSED', nothing);

  const { rcode, ...found } = answerFrom(zones, question.name.toLowerCase(), question.type);
  const authoritative = rcode === 'REFUSED' ? 0 : flags.authoritative;
  const whole = reply(rcode, found, authoritative);
  if (whole.length <= limit) return whole;
  // What was added unasked goes first, and is no loss (RFC 2181 §9).
  const unadorned = reply(rcode, { ...found, additionals: [] }, authoritative);
  return unadorned.length <= limit ? unadorned : reply(rcode, nothing, authoritative | flags.truncated);
}

function udpLimit(edns: Edns | undefined): number {
  return edns === undefined ? plainUdpBytes : Math.min(Math.max(edns.udpBytes, plainUdpBytes), largestUdpBytes);
}

/** Exactly one, uncompressed: nothing stands before it that it could point to. */
function questionOf(query: Buffer): Question | undefined {
  const [questions, answers] = [query.readUInt16BE(4), query.readUInt16BE(6)];
  if (questions !== 1 || answers !== 0) return undefined;
  const labels: string[] = [];
  let at = headerBytes;
  for (;;) {
    const length = query[at];
    if (length === undefined || length > 63) return undefined;
    at += 1;
    if (length === 0) break;
    labels.push(query.toString('latin1', at, at + length));
    at += length;
    if (at - headerBytes > 254) return undefined;
  }
  if (at + 4 > query.length) return undefined;
  return {
    // A dot inside of a label is none between two: no name of ours has such a letter.
    name: labels.map(label => label.replaceAll('.', '\ufffd')).join('.'),
    type: query.readUInt16BE(at),
    class: query.readUInt16BE(at + 2),
    bytes: query.subarray(headerBytes, at + 4),
  };
}

function ednsOf(query: Buffer, questionEnd: number): Edns | undefined | 'malformed' {
  const [authorities, additionals] = [query.readUInt16BE(8), query.readUInt16BE(10)];
  if (authorities === 0 && additionals === 0) return query.length === questionEnd ? undefined : 'malformed';
  // An IXFR says there what it has; nobody needs more.
  if (authorities > 1 || additionals > 2) return 'malformed';
  try {
    const packet = dnsPacket.decode(query);
    if (dnsPacket.decode.bytes !== query.length) return 'malformed';
    const found = (packet.additionals ?? []).filter(({ type }) => type === 'OPT');
    const [opt, second] = found;
    if (second !== undefined || (packet.authorities ?? []).some(({ type }) => type === 'OPT')) return 'malformed';
    if (opt === undefined) return undefined;
    if (opt.type !== 'OPT' || opt.name !== '.') return 'malformed';
    return { udpBytes: opt.udpPayloadSize, version: opt.ednsVersion, isDnssecOk: opt.flag_do };
  } catch {
    return 'malformed';
  }
}

/** The head alone: of what cannot be read nothing is sent back. */
function bare(query: Buffer, rcode: 'FORMERR' | 'NOTIMP'): Buffer {
  const head = query.readUInt16BE(2) & (flags.opcode | flags.desired | flags.unchecked);
  return dnsPacket.encode({
    id: query.readUInt16BE(0),
    type: 'response',
    flags: flags.response | head | rcodes[rcode],
  });
}

function encode(
  head: { readonly id: number; readonly flags: number; readonly rcode: Rcode },
  question: Question,
  { answers, authorities, additionals }: Omit<ZoneAnswer, 'rcode'>,
  edns: Edns | undefined,
): Buffer {
  const rcode = rcodes[head.rcode];
  const asked = question.name.toLowerCase();
  const record = ({ name, ...data }: RecordData & { name: string }) =>
    ({ ...data, name: name === asked ? question.name : name, ttl, class: 'IN' }) as dnsPacket.Answer;
  const opt: dnsPacket.OptAnswer = {
    type: 'OPT',
    name: '.',
    udpPayloadSize: largestUdpBytes,
    extendedRcode: rcode >> 4,
    ednsVersion: 0,
    flags: edns?.isDnssecOk ? dnsPacket.DNSSEC_OK : 0,
    flag_do: edns?.isDnssecOk ?? false,
    options: [],
  };
  // dns-packet compresses nothing, so the question can be put in afterwards, octet by octet as it came.
  const rest = dnsPacket.encode({
    id: head.id,
    type: 'response',
    flags: head.flags | (rcode & 0xf),
    answers: answers.map(record),
    authorities: authorities.map(record),
    additionals: [...additionals.map(record), ...(edns === undefined ? [] : [opt])],
  });
  rest.writeUInt16BE(1, 4);
  return Buffer.concat([rest.subarray(0, headerBytes), question.bytes, rest.subarray(headerBytes)]);
}
