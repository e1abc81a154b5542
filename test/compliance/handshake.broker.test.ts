import { connect } from 'amqplib';
import { describe, expect, test, vi } from 'vitest';
import { brokerUrl } from '../support/broker.ts';
import { bindsExchanges, otherProtocolAnswer } from './differences.ts';
import { asKnown } from './which-broker.ts';
import {
  authenticate,
  greet,
  login,
  protocolHeader,
  sendStartOk,
  type Tune,
  usualCapabilities,
  vhostOf,
} from './wire/handshake.ts';
import { dial, type Peer } from './wire/peer.ts';
import type { Table } from './wire/table.ts';

const loginRefused =
  'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.';

// RabbitMQ keeps silent for 3 s before it drops a client that it does not trust, so these run side by side.
vi.setConfig({ maxConcurrency: 40 });

describe.concurrent('the handshake', () => {
  test('the server introduces itself: AMQP 0-9, product, version, PLAIN, en_US', async () => {
    const { peer, start } = await greet(brokerUrl());
    peer.cut();
    expect(start).toMatchObject({ major: 0, minor: 9, locales: 'en_US' });
    expect(String(start.mechanisms).split(' ')).toContain('PLAIN');
    expect(start.serverProperties).toMatchObject({
      product: expect.stringMatching(/./),
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      platform: expect.stringMatching(/./),
      information: expect.stringMatching(/./),
      cluster_name: expect.stringMatching(/./),
    });
  });

  test('the server says which extensions it has, and that it tells a refused login so', async () => {
    const { peer, start } = await greet(brokerUrl());
    peer.cut();
    expect((start.serverProperties as Table).capabilities).toMatchObject({
      ...usualCapabilities,
      exchange_exchange_bindings: await asKnown(bindsExchanges),
      per_consumer_qos: true,
      direct_reply_to: true,
    });
  });

  test('a user with the right password gets in by PLAIN', async () => {
    using peer = await login(brokerUrl());
    await peer.openChannel(1);
  });

  test.for([
    ['a wrong password', { password: 'not the password' }],
    ['an unknown user', { user: 'nobody of that name' }],
    ['an empty password', { password: '' }],
  ] as const)('%s is answered with 403 to a client that can take it', async ([, as]) => {
    const { peer } = await greet(brokerUrl());
    sendStartOk(peer, brokerUrl(), as);
    expect(await peer.refusal()).toEqual({ scope: 'connection', code: 403, text: loginRefused, method: 'none' });
    await peer.closed();
  });

  test('a wrong password only closes the socket of a client without authentication_failure_close', async () => {
    const { peer } = await greet(brokerUrl());
    sendStartOk(peer, brokerUrl(), { password: 'not the password', capabilities: {} });
    await expect(peer.next()).rejects.toThrow('not taken: nothing');
  });

  test('amqplib says that the login was refused, and with which code', async () => {
    const url = new URL(brokerUrl());
    url.password = 'wrong';
    await expect(connect(url.href)).rejects.toThrow(`403 (ACCESS-REFUSED) with message "${loginRefused}"`);
  });

  test('an unknown virtual host is answered with 530', async () => {
    const { peer, tune } = await authenticate(brokerUrl());
    peer.send(0, 'connection.tune-ok', tune);
    peer.send(0, 'connection.open', { vhost: 'no such vhost' });
    expect(await peer.refusal()).toEqual({
      scope: 'connection',
      code: 530,
      text: 'NOT_ALLOWED - vhost no such vhost not found',
      method: 'connection.open',
    });
    await peer.closed();
  });

  test('the server offers 2047 channels, frames of 128 KiB and a heartbeat of a minute', async () => {
    const { peer, tune } = await authenticate(brokerUrl());
    peer.cut();
    expect(tune).toEqual({ channelMax: 2047, frameMax: 131_072, heartbeat: 60 });
  });

  test('the client may ask for less of everything', async () => {
    using peer = await login(brokerUrl(), { channelMax: 1, frameMax: 4096, heartbeat: 1 });
    await peer.openChannel(1);
  });

  test.for<[string, Tune]>([
    ['larger frames than offered', { frameMax: 131_073 }],
    ['frames without a limit', { frameMax: 0 }],
    ['frames smaller than 4096 bytes', { frameMax: 4095 }],
    ['more channels than offered', { channelMax: 2048 }],
    ['channels without a limit', { channelMax: 0 }],
  ])('a client that asks for %s is dropped', async ([, asked]) => {
    const { peer, tune } = await authenticate(brokerUrl());
    peer.send(0, 'connection.tune-ok', { ...tune, ...asked });
    peer.send(0, 'connection.open', { vhost: vhostOf(brokerUrl()) });
    await dropped(peer);
  });

  test.for<[string, (peer: Peer) => void]>([
    ['a mechanism that was not offered', peer => sendStartOk(peer, brokerUrl(), { mechanism: 'NOPE' })],
    [
      'a PLAIN response without its zero bytes',
      peer => peer.send(0, 'connection.start-ok', { mechanism: 'PLAIN', response: 'name', locale: 'en_US' }),
    ],
    ['connection.open instead of start-ok', peer => peer.send(0, 'connection.open', { vhost: vhostOf(brokerUrl()) })],
    ['connection.tune-ok instead of start-ok', peer => peer.send(0, 'connection.tune-ok', { frameMax: 8192 })],
    ['channel.open instead of start-ok', peer => peer.send(1, 'channel.open')],
    ['bytes that are no frame instead of start-ok', peer => peer.sendBytes(Buffer.from('GET / HTTP/1.1\r\n\r\n'))],
  ])('%s ends the handshake', async ([, act]) => {
    const { peer } = await greet(brokerUrl());
    act(peer);
    await dropped(peer);
  });

  test.for<[string, (peer: Peer) => void]>([
    ['connection.open before tune-ok', peer => peer.send(0, 'connection.open', { vhost: vhostOf(brokerUrl()) })],
    ['channel.open before connection.open', peer => peer.send(1, 'channel.open')],
  ])('%s ends the handshake', async ([, act]) => {
    const { peer } = await authenticate(brokerUrl());
    act(peer);
    await dropped(peer);
  });

  test('a client that connects and says nothing is dropped after ten seconds', async () => {
    const begun = performance.now();
    const peer = await dial(brokerUrl());
    await dropped(peer);
    expect(performance.now() - begun).toBeGreaterThan(5_000);
  });
});

describe('another protocol', () => {
  test.for([
    ['AMQP 0-10', Buffer.from('AMQP\x01\x01\x00\x0a', 'latin1')],
    ['AMQP 1.0', Buffer.from('AMQP\x00\x01\x00\x00', 'latin1')],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: broker\r\n\r\n')],
    ['TLS', Buffer.from('16030100f1010000ed0303', 'hex')],
  ] as const)('%s is answered with the version that is spoken here, and the socket is closed', async ([, bytes]) => {
    const peer = await dial(brokerUrl());
    peer.sendBytes(bytes);
    expect(await peer.next()).toMatchObject({ kind: 'protocol header', version: await asKnown(otherProtocolAnswer) });
    await peer.closed();
  });

  test('a protocol header that comes byte by byte is understood', async () => {
    using peer = await dial(brokerUrl());
    for (const byte of protocolHeader) {
      await new Promise<void>(resolve => peer.socket.write(Buffer.from([byte]), () => resolve()));
    }
    await peer.expect(0, 'connection.start');
  });
});

/** RabbitMQ hangs up without a word on whoever errs before `open-ok`; a close that says why is as good. */
async function dropped(peer: Peer): Promise<void> {
  const ending = await peer.ending();
  if (ending !== 'dropped') expect(ending.scope).toBe('connection');
}
