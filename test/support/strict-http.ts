/**
 * HTTP/1.1 messages as the strictest of readers takes them: written apart from the services, to judge what they send. Octets are latin-1
 * text. Anything that two readers might take for two things throws.
 */
export interface StrictRequest {
  readonly method: string;
  readonly target: string;
  /** In order; names in lower case. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

export interface StrictResponse {
  readonly status: number;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

const name = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const fieldLine = new RegExp(`^(${name}):[\\t ]*([\\t -~\\x80-\\xff]*?)[\\t ]*$`);
const requestLine = new RegExp(`^(${name}) (/[!-~]*|\\*) HTTP/1\\.1$`);
const statusLine = /^HTTP\/1\.1 ([1-9]\d\d) [\t -~]*$/;

/** @returns whole requests, and what is left of one that has not come whole */
export function parseRequests(text: string): { requests: StrictRequest[]; rest: string } {
  const requests: StrictRequest[] = [];
  let rest = text;
  for (;;) {
    const head = splitHead(rest);
    if (!head) return { requests, rest };
    const [, method = '', target = ''] = requestLine.exec(head.start) ?? complain(`request line ${head.start}`);
    if (valuesOf(head.fields, 'host').length !== 1) complain(`${valuesOf(head.fields, 'host').length} Host fields`);
    const body = splitBody(head.rest, head.fields, 0);
    if (!body) return { requests, rest };
    requests.push({ method, target, fields: head.fields, body: body.body });
    rest = body.rest;
  }
}

/** @param methods of the requests, in order: the answer to HEAD has no body @param isClosed nothing more will come */
export function parseResponses(
  text: string,
  methods: readonly string[],
): { responses: StrictResponse[]; rest: string } {
  const responses: StrictResponse[] = [];
  let rest = text;
  let answered = 0;
  for (;;) {
    const head = splitHead(rest);
    if (!head) return { responses, rest };
    const [, digits = ''] = statusLine.exec(head.start) ?? complain(`status line ${head.start}`);
    const status = Number(digits);
    const isInterim = status < 200;
    const isBodiless = isInterim || status === 204 || status === 304 || methods[answered] === 'HEAD';
    if (!isInterim) answered++;
    const isToTheEnd =
      valuesOf(head.fields, 'content-length').length + valuesOf(head.fields, 'transfer-encoding').length === 0;
    // Nothing says how long it is, but that the connection closes.
    if (!isBodiless && isToTheEnd && valuesOf(head.fields, 'connection')[0] === 'close') {
      responses.push({ status, fields: head.fields, body: head.rest });
      return { responses, rest: '' };
    }
    const body = isBodiless ? { body: '', rest: head.rest } : splitBody(head.rest, head.fields, undefined);
    if (!body) return { responses, rest };
    responses.push({ status, fields: head.fields, body: body.body });
    rest = body.rest;
  }
}

export function valuesOf(fields: StrictRequest['fields'], field: string): string[] {
  return fields.filter(([each]) => each === field).map(([, value]) => value);
}

function splitHead(text: string) {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [start = '', ...lines] = text.slice(0, end).split('\r\n');
  const fields = lines.map(line => {
    const [, field = '', value = ''] = fieldLine.exec(line) ?? complain(`field line ${line}`);
    return [field.toLowerCase(), value] as const;
  });
  return { start, fields, rest: text.slice(end + 4) };
}

function splitBody(text: string, fields: StrictRequest['fields'], none: 0 | undefined) {
  const lengths = valuesOf(fields, 'content-length');
  const codings = valuesOf(fields, 'transfer-encoding');
  if (lengths.length + codings.length > 1) complain('more than one word on how long the body is');
  if (codings.length === 1) {
    if (codings[0] !== 'chunked') complain(`coding ${codings[0]}`);
    return splitChunks(text);
  }
  const [length = none === undefined ? complain('a response without a length') : String(none)] = lengths;
  if (!/^(?:0|[1-9]\d*)$/.test(length)) complain(`length ${length}`);
  return text.length < Number(length)
    ? undefined
    : { body: text.slice(0, Number(length)), rest: text.slice(Number(length)) };
}

function splitChunks(text: string) {
  let body = '';
  let rest = text;
  for (;;) {
    const end = rest.indexOf('\r\n');
    if (end < 0) return undefined;
    const digits = rest.slice(0, end);
    if (!/^[0-9a-fA-F]{1,8}$/.test(digits)) complain(`chunk size ${digits}`);
    const size = Number.parseInt(digits, 16);
    const behind = end + 2 + size + 2;
    if (rest.length < behind) return undefined;
    if (rest.slice(behind - 2, behind) !== '\r\n') complain('no end of a chunk');
    body += rest.slice(end + 2, behind - 2);
    rest = rest.slice(behind);
    if (size === 0) return { body, rest };
  }
}

function complain(what: string): never {
  throw new Error(`not strict HTTP: ${JSON.stringify(what)}`);
}

/** A request as RFC 9112 lets a recipient take it. */
export interface ReadRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly body: string;
}

/**
 * What the octets of one connection mean, for judging a server by: all requests up to the first thing that is not one beyond doubt, or is not
 * whole, or after which the connection closes. It takes what a server may take: empty lines before a request, chunk extensions, trailers,
 * later minor versions, the absolute form.
 */
export function readRequests(text: string): ReadRequest[] {
  const found: ReadRequest[] = [];
  let rest = text;
  for (;;) {
    rest = rest.replace(/^(?:\r\n)+/, '');
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) return found;
    const [start = '', ...lines] = rest.slice(0, end).split('\r\n');
    const [, method = '', target = '', minor = ''] =
      /^(\S+) (?:http:\/\/[^/?#\s]*)?(\S*) HTTP\/1\.(\d)$/i.exec(start) ?? [];
    if (method === '') return found;
    const fields: [string, string][] = [];
    for (const each of lines) {
      const [, field = '', value = ''] = fieldLine.exec(each) ?? [];
      if (field === '') return found;
      fields.push([field.toLowerCase(), value]);
    }
    rest = rest.slice(end + 4);
    const lengths = valuesOf(fields, 'content-length');
    const codings = valuesOf(fields, 'transfer-encoding');
    if (lengths.length + codings.length > 1) return found;
    let body = '';
    if (codings.length === 1) {
      if (codings[0]?.toLowerCase() !== 'chunked' || minor === '0') return found;
      const chunks = readChunks(rest);
      if (!chunks) return found;
      ({ body, rest } = chunks);
    } else if (lengths.length === 1) {
      if (!/^\d{1,15}$/.test(lengths[0] ?? '') || rest.length < Number(lengths[0])) return found;
      body = rest.slice(0, Number(lengths[0]));
      rest = rest.slice(Number(lengths[0]));
    }
    found.push({ method, target: target.startsWith('/') ? target : `/${target}`, body });
    const options = valuesOf(fields, 'connection')
      .join(',')
      .toLowerCase()
      .split(/[\t ]*,[\t ]*/);
    if (options.includes('close') || (minor === '0' && !options.includes('keep-alive'))) return found;
  }
}

function readChunks(text: string): { body: string; rest: string } | undefined {
  let body = '';
  let rest = text;
  for (;;) {
    const [line, digits = ''] = /^([0-9a-fA-F]+)(?:[\t ]*;[^\r\n]*)?\r\n/.exec(rest) ?? [];
    if (line === undefined) return undefined;
    const size = Number.parseInt(digits, 16);
    rest = rest.slice(line.length);
    if (size === 0) {
      const [trailers] = /^(?:[^\r\n:]+:[^\r\n]*\r\n)*\r\n/.exec(rest) ?? [];
      return trailers === undefined ? undefined : { body, rest: rest.slice(trailers.length) };
    }
    if (rest.slice(size, size + 2) !== '\r\n') return undefined;
    body += rest.slice(0, size);
    rest = rest.slice(size + 2);
  }
}
