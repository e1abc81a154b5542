import type { MethodFrame } from './peer.ts';
import { dial, type Peer } from './peer.ts';
import type { Table } from './table.ts';

export const protocolHeader = Buffer.from('AMQP\0\0\x09\x01', 'latin1');

/** As clients of today announce themselves. */
export const usualCapabilities = {
  publisher_confirms: true,
  exchange_exchange_bindings: true,
  'basic.nack': true,
  consumer_cancel_notify: true,
  'connection.blocked': true,
  authentication_failure_close: true,
} as const;

export interface Tune {
  readonly channelMax?: number;
  readonly frameMax?: number;
  /** Seconds; 0 for none. */
  readonly heartbeat?: number;
}

export interface Login {
  readonly user?: string;
  readonly password?: string;
  readonly vhost?: string;
  readonly mechanism?: string;
  readonly capabilities?: Table;
}

/** Sends the header and takes `connection.start`. */
export async function greet(url: string): Promise<{ peer: Peer; start: MethodFrame['fields'] }> {
  const peer = await dial(url);
  peer.sendBytes(protocolHeader);
  return { peer, start: await peer.expect(0, 'connection.start') };
}

export function saslPlain(user: string, password: string): Buffer {
  return Buffer.from(`\0${user}\0${password}`);
}

export function sendStartOk(peer: Peer, url: string, login: Login = {}): void {
  const { username, password } = new URL(url);
  peer.send(0, 'connection.start-ok', {
    clientProperties: { product: 'compliance suite', capabilities: login.capabilities ?? usualCapabilities },
    mechanism: login.mechanism ?? 'PLAIN',
    response: saslPlain(login.user ?? decodeURIComponent(username), login.password ?? decodeURIComponent(password)),
    locale: 'en_US',
  });
}

/** Header, start, start-ok, and takes `connection.tune`. */
export async function authenticate(
  url: string,
  login: Login = {},
): Promise<{ peer: Peer; tune: { channelMax: number; frameMax: number; heartbeat: number } }> {
  const { peer } = await greet(url);
  sendStartOk(peer, url, login);
  const { channelMax, frameMax, heartbeat } = await peer.expect(0, 'connection.tune');
  return { peer, tune: { channelMax: Number(channelMax), frameMax: Number(frameMax), heartbeat: Number(heartbeat) } };
}

/** The whole handshake; without heartbeats unless asked for. */
export async function login(url: string, tune: Tune = {}, as: Login = {}): Promise<Peer> {
  const { peer, tune: offered } = await authenticate(url, as);
  const frameMax = tune.frameMax ?? Math.min(offered.frameMax || 131_072, 131_072);
  peer.send(0, 'connection.tune-ok', {
    channelMax: tune.channelMax ?? offered.channelMax,
    frameMax,
    heartbeat: tune.heartbeat ?? 0,
  });
  peer.maxBody = (frameMax || 131_072) - 8;
  peer.send(0, 'connection.open', { vhost: as.vhost ?? vhostOf(url) });
  await peer.expect(0, 'connection.open-ok');
  return peer;
}

export function vhostOf(url: string): string {
  const path = new URL(url).pathname.slice(1);
  return path === '' ? '/' : decodeURIComponent(path);
}
