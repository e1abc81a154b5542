import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../services/config/load.ts';
import { type Certificate, type CertificateFiles, CertificateWatch } from '../../services/proxy/certificate.ts';
import { hasOpenssl, type CertificateFiles as MadeFiles, makeCertificate } from '../broker/certificate.ts';
import { RawEdge } from '../support/raw-edge.ts';
import { parseResponses, valuesOf } from '../support/strict-http.ts';

/** Two pairs made by openssl, named by what stands in them. */
let made: { one: MadeFiles; two: MadeFiles };
let home = '';
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'warren-tls-'));
  if (hasOpenssl) made = { one: makeCertificate(home, 'one'), two: makeCertificate(home, 'two') };
});
afterAll(() => rm(home, { recursive: true, force: true }));

const watches: CertificateWatch[] = [];
afterEach(() => {
  for (const watch of watches.splice(0)) watch.close();
});

async function read({ cert, key }: CertificateFiles): Promise<Certificate> {
  return { cert: await readFile(cert), key: await readFile(key) };
}

/** A folder of its own with pair one in use, and what its watch says, in order. */
async function watched(place: (dir: string) => Promise<CertificateFiles>) {
  const dir = await mkdtemp(join(home, 'watched-'));
  const files = await place(dir);
  const heard: (Certificate | string)[] = [];
  let wake = (): void => {};
  const hear = (what: Certificate | string): void => {
    heard.push(what);
    wake();
  };
  const started = await CertificateWatch.start(files, { pollMs: 10, onChange: hear, warn: hear });
  watches.push(started.watch);
  const next = async (): Promise<Certificate | string> => {
    while (heard.length === 0) {
      await new Promise<void>(resolve => {
        wake = resolve;
      });
    }
    return heard.shift() ?? '';
  };
  return { dir, files, certificate: started.certificate, next, heard };
}

async function plain(dir: string): Promise<CertificateFiles> {
  const files = { cert: join(dir, 'tls.crt'), key: join(dir, 'tls.key') };
  const pair = await read(made.one);
  await writeFile(files.cert, pair.cert);
  await writeFile(files.key, pair.key);
  return files;
}

describe.skipIf(!hasOpenssl)('a certificate in files', () => {
  test('is read at the start', async () => {
    const { certificate } = await watched(plain);
    expect(certificate).toEqual(await read(made.one));
  });

  test.each([
    ['a file that is not there', { cert: 'nowhere.pem', key: 'nowhere.key' }, /tls_cert nowhere\.pem cannot be read/],
  ])('that is %s is said at the start, in one line', async (_what, files, line) => {
    const starting = CertificateWatch.start(files, { pollMs: 10, onChange: () => {}, warn: () => {} });
    await expect(starting).rejects.toMatchObject({ code: 'TLS_FILE', message: expect.stringMatching(line) });
  });

  test('whose key is another’s is said at the start', async () => {
    const files = { cert: made.one.cert, key: made.two.key };
    const starting = CertificateWatch.start(files, { pollMs: 10, onChange: () => {}, warn: () => {} });
    await expect(starting).rejects.toMatchObject({ code: 'TLS_FILE', message: expect.stringMatching(/do not serve/) });
  });

  test('that is written over is read again', async () => {
    const { files, next } = await watched(plain);
    const two = await read(made.two);
    await writeFile(files.cert, two.cert);
    await writeFile(files.key, two.key);
    let heard = await next();
    // The two writes may lie two looks apart on a slow machine.
    if (typeof heard === 'string') heard = await next();
    expect(heard).toEqual(two);
  });

  test('that is renamed into place is read again', async () => {
    const { dir, files, next } = await watched(plain);
    const two = await read(made.two);
    for (const half of ['cert', 'key'] as const) await writeFile(join(dir, `new.${half}`), two[half]);
    for (const half of ['cert', 'key'] as const) await rename(join(dir, `new.${half}`), files[half]);
    let heard = await next();
    if (typeof heard === 'string') heard = await next();
    expect(heard).toEqual(two);
  });

  test('whose folder is a link that is turned to another is read again (Kubernetes, certbot)', async () => {
    const { dir, next } = await watched(async at => {
      for (const [version, pair] of [
        ['v1', made.one],
        ['v2', made.two],
      ] as const) {
        await mkdir(join(at, version));
        for (const half of ['cert', 'key'] as const)
          await writeFile(join(at, version, half), await readFile(pair[half]));
      }
      await symlink('v1', join(at, '..data'));
      for (const half of ['cert', 'key']) await symlink(join('..data', half), join(at, half));
      return { cert: join(at, 'cert'), key: join(at, 'key') };
    });
    await symlink('v2', join(dir, '..data_tmp'));
    await rename(join(dir, '..data_tmp'), join(dir, '..data'));
    expect(await next()).toEqual(await read(made.two));
  });

  test('that is spoilt is said once, in one line, and a good one after it is taken', async () => {
    const { files, next, heard } = await watched(plain);
    await writeFile(files.cert, 'no certificate');
    const line = await next();
    expect(line).toMatch(/tls_cert .* do not serve: .*; the certificate in use stays$/);
    expect(line).not.toContain('\n');
    const two = await read(made.two);
    await writeFile(join(home, 'cert.new'), two.cert);
    await writeFile(files.key, two.key);
    await rename(join(home, 'cert.new'), files.cert);
    let found = await next();
    if (typeof found === 'string') found = await next();
    expect(found).toEqual(two);
    expect(heard).toEqual([]);
  });

  test('that is gone is said once, and taken when it is back', async () => {
    const { files, next, certificate } = await watched(plain);
    await rm(files.key);
    expect(await next()).toMatch(/tls_key .* cannot be read/);
    await writeFile(files.key, certificate.key);
    expect(await next()).toEqual(certificate);
  });
});

describe.skipIf(!hasOpenssl)('the edge over TLS', () => {
  const asked = 'GET /x HTTP/1.1\r\nHost: a.example:443\r\n\r\n';

  async function client(edge: RawEdge): Promise<TLSSocket> {
    const socket = connectTls({
      port: edge.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
    });
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    return socket;
  }

  async function ask(socket: TLSSocket, text: string): Promise<string> {
    socket.write(text);
    const [octets] = (await once(socket, 'data')) as [Buffer];
    return octets.toString('latin1');
  }

  test('tells the upstream so (RFC 7239 §5.4), and shares its cache with nobody in the clear', async () => {
    await using edge = await new RawEdge().listen({ certificate: await read(made.one) });
    const socket = await client(edge);
    expect(socket.alpnProtocol).toBe('http/1.1');
    expect(await ask(socket, asked)).toMatch(/^HTTP\/1\.1 200 /);
    const fields = edge.origin.requests[0]?.fields ?? [];
    expect(valuesOf(fields, 'x-forwarded-proto')).toEqual(['https']);
    expect(valuesOf(fields, 'forwarded')).toEqual(['for=127.0.0.1;host="a.example:443";proto=https']);
    socket.destroy();
  });

  test('takes the absolute form of https (RFC 9110 §7.4)', async () => {
    await using edge = await new RawEdge().listen({ certificate: await read(made.one) });
    const socket = await client(edge);
    expect(await ask(socket, asked.replace('/x', 'https://b.example/x'))).toMatch(/^HTTP\/1\.1 200 /);
    expect(valuesOf(edge.origin.requests[0]?.fields ?? [], 'host')).toEqual(['b.example']);
    socket.destroy();
  });

  test('is as strict as without', async () => {
    await using edge = await new RawEdge().listen({ certificate: await read(made.one) });
    const socket = await client(edge);
    let text = '';
    socket.on('data', octets => {
      text += octets.toString('latin1');
    });
    socket.write(
      `${asked}POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${asked}`,
    );
    await once(socket, 'end');
    expect(parseResponses(text, []).responses.map(({ status }) => status)).toEqual([200, 400]);
    expect(edge.origin.requests).toHaveLength(1);
    socket.destroy();
  });

  test('gives new connections a new certificate, and drops none of those that there are', async () => {
    await using edge = await new RawEdge().listen({ certificate: await read(made.one) });
    const old = await client(edge);
    expect(old.getPeerCertificate().subject.CN).toBe('one');
    expect(await ask(old, asked)).toMatch(/^HTTP\/1\.1 200 /);
    edge.renew(await read(made.two));
    const fresh = await client(edge);
    expect(fresh.getPeerCertificate().subject.CN).toBe('two');
    for (const socket of [old, fresh, old]) expect(await ask(socket, asked)).toMatch(/^HTTP\/1\.1 200 /);
    for (const socket of [old, fresh]) socket.destroy();
  });

  test('closes on who speaks in the clear, or no TLS at all', async () => {
    await using edge = await new RawEdge().listen({ certificate: await read(made.one) });
    for (const text of [asked, 'garbage', '\x16\x03\x01\x00\x05hello'])
      expect(await edge.exchange(text.padEnd(600))).not.toContain('200 OK');
    expect(edge.origin.requests).toEqual([]);
    const socket = await client(edge);
    expect(await ask(socket, asked)).toMatch(/^HTTP\/1\.1 200 /);
    socket.destroy();
  });

  test('answers a client of another make: openssl', async () => {
    await using edge = await new RawEdge().listen({ certificate: await read(made.one) });
    const text = await new Promise<string>(resolve => {
      const process = execFile(
        'openssl',
        ['s_client', '-quiet', '-CAfile', made.one.cert, '-verify_return_error', '-connect', `127.0.0.1:${edge.port}`],
        { timeout: 10_000 },
        (_error, stdout) => resolve(stdout),
      );
      process.stdin?.write('GET /x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n');
    });
    expect(text).toMatch(/^HTTP\/1\.1 200 OK/);
  });
});

test('half of a pair is a contradiction', () => {
  const load = () => loadConfig({ command: 'proxy', argv: ['--tls-cert', 'x'], env: {}, readFile: () => '' });
  expect(load).toThrow(/needs both proxy\.tls_cert and proxy\.tls_key/);
});
