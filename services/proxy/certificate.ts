import { readFile, stat } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { Failure, messageOf } from '../lib/failure.ts';

export interface CertificateFiles {
  /** PEM: the certificate, and those between it and the root. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** @throws Failure TLS_FILE */
export async function readCertificate(files: CertificateFiles): Promise<Certificate> {
  const read = async (setting: string, file: string): Promise<Buffer> => {
    try {
      return await readFile(file);
    } catch (error) {
      throw new Failure('TLS_FILE', `${setting} ${file} cannot be read: ${messageOf(error)}`, { cause: error });
    }
  };
  const pair = { cert: await read('proxy.tls_cert', files.cert), key: await read('proxy.tls_key', files.key) };
  try {
    createSecureContext(pair);
  } catch (error) {
    const reason = `proxy.tls_cert ${files.cert} and proxy.tls_key ${files.key} do not serve: ${messageOf(error)}`;
    throw new Failure('TLS_FILE', reason, { cause: error });
  }
  return pair;
}

export interface CertificateWatchOptions {
  readonly pollMs: number;
  readonly onChange: (certificate: Certificate) => void;
  /** One line: a new pair that does not serve. */
  readonly warn: (line: string) => void;
}

/**
 * Looks at the files now and then, through all links: so it notices a file that is written over, one that is renamed into place, and a link
 * somewhere above that is turned to another folder (certbot, Kubernetes), on network disks as well. A pair that has just changed is left
 * alone until it has stayed the same for one look: its other half may be on its way.
 */
export class CertificateWatch {
  readonly #files: CertificateFiles;
  readonly #options: CertificateWatchOptions;
  /** As the files in use were, and as they were at the last look. */
  #used: string;
  #seen: string;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  private constructor(files: CertificateFiles, used: string, options: CertificateWatchOptions) {
    this.#files = files;
    this.#options = options;
    this.#used = used;
    this.#seen = used;
    this.#later();
  }

  /** Reads the pair and watches it from then on. @throws Failure TLS_FILE */
  static async start(
    files: CertificateFiles,
    options: CertificateWatchOptions,
  ): Promise<{ certificate: Certificate; watch: CertificateWatch }> {
    // The look comes first: what changes while we read is a change.
    const used = await look(files);
    const certificate = await readCertificate(files);
    return { certificate, watch: new CertificateWatch(files, used, options) };
  }

  #later(): void {
    this.#timer = setTimeout(() => this.#check(), this.#options.pollMs);
    this.#timer.unref();
  }

  async #check(): Promise<void> {
    const now = await look(this.#files);
    const isSettled = now === this.#seen;
    this.#seen = now;
    if (isSettled && now !== this.#used) {
      this.#used = now;
      try {
        const certificate = await readCertificate(this.#files);
        if (!this.#isClosed) this.#options.onChange(certificate);
      } catch (error) {
        if (!this.#isClosed) this.#options.warn(`${messageOf(error)}; the certificate in use stays`);
      }
    }
    if (!this.#isClosed) this.#later();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }
}

/** Which files these are, and as of when. A file that is not there is a state like any other. */
async function look(files: CertificateFiles): Promise<string> {
  const marks = await Promise.all(
    [files.cert, files.key].map(async file => {
      try {
        const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
        return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
      } catch (error) {
        return messageOf(error);
      }
    }),
  );
  return marks.join('\n');
}
