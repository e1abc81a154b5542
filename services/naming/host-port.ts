/** An address as servers register it. */
export interface HostPort {
  /** Of IPv6 without brackets. */
  readonly host: string;
  /** Undefined: a host name. */
  readonly family: 4 | 6 | undefined;
  readonly port: number;
}

const octet = '(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)';
const ipv4 = new RegExp(`^${octet}(?:\\.${octet}){3}$`);
const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const hostName = new RegExp(`^(?=.{1,253}$)(?:${label}\\.)*(?!\\d+$)${label}$`, 'i');

/** `10.0.0.1:50051`, `[fd00::1]:50051`, `host.example:50051`; undefined for anything else. */
export function parseHostPort(text: string): HostPort | undefined {
  const [, bracketed, bare = '', digits = ''] = /^(?:\[([^\]]{2,45})\]|([^:[\]]{1,253})):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (port < 1 || port > 65_535 || digits === '') return undefined;
  if (bracketed !== undefined) return isIpv6(bracketed) ? { host: bracketed, family: 6, port } : undefined;
  if (ipv4.test(bare)) return { host: bare, family: 4, port };
  return hostName.test(bare) ? { host: bare, family: undefined, port } : undefined;
}

/** RFC 4291 §2.2, without a zone. */
function isIpv6(text: string): boolean {
  const [head = '', tail, ...more] = text.split('::');
  if (more.length > 0) return false;
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const all = [...groups(head), ...groups(tail ?? '')];
  const last = all.at(-1) ?? '';
  const isMixed = last.includes('.');
  if (isMixed && !ipv4.test(last)) return false;
  const hex = isMixed ? all.slice(0, -1) : all;
  if (!hex.every(group => /^[0-9a-f]{1,4}$/i.test(group))) return false;
  const size = hex.length + (isMixed ? 2 : 0);
  // An IPv4 tail stands at the very end.
  if (isMixed && tail === '') return false;
  return tail === undefined ? size === 8 : size < 8;
}
