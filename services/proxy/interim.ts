import { STATUS_CODES } from 'node:http';
import { type Fields, responseFields } from './fields.ts';

const name = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const value = /^[\t -~\u0080-\u00ff]*$/;

/** Whether a status is one of before the response proper, and to be passed on (RFC 9110 §15.2); not 101, which ends HTTP. */
export function isInterim(status: number): boolean {
  return status >= 100 && status < 200 && status !== 101;
}

/**
 * An interim response as latin-1 text. Node writes some of them, and only with the fields that it expects there.
 * @returns undefined for one that would break the message apart, and for 100, which the proxy has said itself if anybody asked for it
 */
export function formatInterim(status: number, received: Fields): string | undefined {
  if (status === 100) return undefined;
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
  const fields = responseFields(received, false);
  for (let i = 0; i < fields.length; i += 2) {
    if (!name.test(fields[i] ?? '') || !value.test(fields[i + 1] ?? '')) return undefined;
    text += `${fields[i]}: ${fields[i + 1]}\r\n`;
  }
  return `${text}\r\n`;
}
