import type { HostPort } from './host-port.ts';

/**
 * What the DNS says of names: records in, answers out (RFC 1034 §4.3.2). Below each origin stand the names that are registered,
 * each with `_chat._tcp` for its service and `<first 12 digits of a member's id>` for each of its hosts.
 */
export interface Zones {
  /** Domains that we are the authority of, in lower case. */
  readonly origins: readonly string[];
  /** Of their SOA; grows with each change. */
  readonly serial: number;
  /** Addresses of the name server itself. */
  readonly nameServer: readonly HostPort[];
  find(name: string): ServedName | undefined;
  /** Whether anything is registered below that name. */
  hasBelow(name: string): boolean;
}

/** A registered name, as far as the DNS is concerned. */
export interface ServedName {
  readonly epoch: number;
  readonly migrationId: string;
  readonly memberId: string;
  /** Whether the holder's lease runs; without, there is no address. */
  readonly isHeld: boolean;
  readonly hosts: readonly HostPort[];
}

export type RecordData =
  | { readonly type: 'A' | 'AAAA' | 'NS'; readonly data: string }
  | { readonly type: 'TXT'; readonly data: readonly string[] }
  | {
      readonly type: 'SRV';
      readonly data: {
        readonly priority: number;
        readonly weight: number;
        readonly port: number;
        readonly target: string;
      };
    }
  | {
      readonly type: 'SOA';
      readonly data: {
        readonly mname: string;
        readonly rname: string;
        readonly serial: number;
        readonly refresh: number;
        readonly retry: number;
        readonly expire: number;
        readonly minimum: number;
      };
    }
  | { readonly type: 'HINFO'; readonly data: { readonly cpu: string; readonly os: string } };

export type ZoneRecord = RecordData & { readonly name: string };

export interface ZoneAnswer {
  readonly rcode: 'NOERROR' | 'NXDOMAIN' | 'REFUSED';
  readonly answers: readonly ZoneRecord[];
  readonly authorities: readonly ZoneRecord[];
  readonly additionals: readonly ZoneRecord[];
}

/** Seconds. Names move: nobody is to keep an answer, nor that there was none. */
export const ttl = 1;
const service = '_chat._tcp';
const hostLabel = /^[0-9a-f]{12}$/;

const any = 255;
/** Zone transfers are nobody's business here. */
const transfers = new Set([251, 252]);
const typeNumbers = { A: 1, NS: 2, SOA: 6, HINFO: 13, TXT: 16, AAAA: 28, SRV: 33 } as const;

/**
 * @param name in lower case, without the dot at its end; '' is the root
 * @param type its number (RFC 1035 §3.2.2)
 */
export function answerFrom(zones: Zones, name: string, type: number): ZoneAnswer {
  const origin = originOf(zones.origins, name);
  if (origin === undefined || transfers.has(type))
    return { rcode: 'REFUSED', answers: [], authorities: [], additionals: [] };
  const there = recordsAt(zones, origin, name);
  const negative = { answers: [], authorities: [{ name: origin, ...soa(zones, origin) }], additionals: [] };
  if (there === undefined) return { rcode: 'NXDOMAIN', ...negative };
  const answers: ZoneRecord[] = there
    .filter(({ type: each }) => typeNumbers[each] === type)
    .map(record => ({ name, ...record }));
  if (answers.length === 0 && type !== any) return { rcode: 'NOERROR', ...negative };
  // RFC 8482 §4.2: not all there is, which is what an attacker would have sent to somebody else.
  if (type === any) answers.push({ name, type: 'HINFO', data: { cpu: 'RFC8482', os: '' } });
  return { rcode: 'NOERROR', answers, authorities: [], additionals: glueOf(zones, origin, answers) };
}

/** The nearest one that the name is, or lies below. */
function originOf(origins: readonly string[], name: string): string | undefined {
  return origins
    .filter(origin => name === origin || name.endsWith(`.${origin}`))
    .reduce<string | undefined>((best, origin) => (origin.length > (best?.length ?? -1) ? origin : best), undefined);
}

/** All records of a name; none where there are only names below it; undefined where there is nothing at all. */
function recordsAt(zones: Zones, origin: string, name: string): RecordData[] | undefined {
  if (name === serverOf(origin)) return zones.nameServer.flatMap(addressRecord);
  const served = zones.find(name);
  const records = served === undefined ? [] : [...addressesOf(served), ...txtOf(served)];
  if (name === origin) return [soa(zones, origin), { type: 'NS', data: serverOf(origin) }, ...records];
  if (served !== undefined) return records;
  return hostOrService(zones, name) ?? (zones.hasBelow(name) ? [] : undefined);
}

/** What stands below a registered name. */
function hostOrService(zones: Zones, name: string): RecordData[] | undefined {
  const [first = ''] = name.split('.', 1);
  const parent = name.slice(first.length + 1);
  if (name.startsWith(`${service}.`)) {
    const owner = name.slice(service.length + 1);
    const served = zones.find(owner);
    return served && serviceRecords(owner, served);
  }
  const served = zones.find(parent);
  if (served === undefined) return undefined;
  if (first === '_tcp') return [];
  const isHost = hostLabel.test(first) && served.isHeld && served.memberId.startsWith(first);
  return isHost ? addressesOf(served) : undefined;
}

function serviceRecords(owner: string, { isHeld, memberId, hosts }: ServedName): RecordData[] {
  if (!isHeld) return [];
  const own = `${memberId.slice(0, 12)}.${owner}`;
  const target = own.length <= 253 ? own : owner;
  const seen = new Set<string>();
  return hosts
    .map(({ host, family, port }) => ({ port, target: family === undefined ? host.toLowerCase() : target }))
    .filter(each => !seen.has(`${each.port} ${each.target}`) && seen.add(`${each.port} ${each.target}`))
    .map((each, priority) => ({ type: 'SRV', data: { priority, weight: 0, ...each } }));
}

function addressesOf({ isHeld, hosts }: ServedName): RecordData[] {
  return isHeld ? hosts.flatMap(addressRecord) : [];
}

function addressRecord({ host, family }: HostPort): RecordData[] {
  return family === undefined ? [] : [{ type: family === 4 ? 'A' : 'AAAA', data: host }];
}

function txtOf({ epoch, memberId, migrationId, isHeld }: ServedName): RecordData[] {
  if (epoch === 0) return [];
  const facts = [
    `epoch=${epoch}`,
    `member=${memberId}`,
    `migration=${migrationId}`,
    `lease=${isHeld ? 'held' : 'ended'}`,
  ];
  return [{ type: 'TXT', data: facts }];
}

/** The addresses of those named in answers that we know. */
function glueOf(zones: Zones, origin: string, answers: readonly ZoneRecord[]): ZoneRecord[] {
  const targets = answers.flatMap(answer => {
    if (answer.type === 'SRV') return [answer.data.target];
    return answer.type === 'NS' ? [answer.data] : [];
  });
  return [...new Set(targets)]
    .filter(target => target.endsWith(`.${origin}`) || target === origin)
    .flatMap(target =>
      (recordsAt(zones, origin, target) ?? [])
        .filter(({ type }) => type === 'A' || type === 'AAAA')
        .map(record => ({ name: target, ...record })),
    );
}

function serverOf(origin: string): string {
  return `ns.${origin}`;
}

function soa({ serial }: Zones, origin: string): RecordData {
  const [mname, rname] = [serverOf(origin), `hostmaster.${origin}`];
  return { type: 'SOA', data: { mname, rname, serial, refresh: 60, retry: 10, expire: 600, minimum: ttl } };
}
