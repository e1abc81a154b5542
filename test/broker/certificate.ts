import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';

export const hasOpenssl = spawnSync('openssl', ['version'], { timeout: 5_000 }).error === undefined;

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** A key and a self-signed certificate in that folder, for 127.0.0.1 and for clients. */
export function makeCertificate(dir: string, name: string): CertificateFiles {
  const files = { cert: join(dir, `${name}.pem`), key: join(dir, `${name}.key`) };
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'],
      ...['-keyout', files.key, '-out', files.cert],
    ],
    { stdio: 'pipe', timeout: 20_000 },
  );
  return files;
}
