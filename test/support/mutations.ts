/** Valid requests, each to be told from the others, and ways to spoil them: for fuzzing, from a seed. */

const hidden = 'GET /hidden HTTP/1.1\r\nHost: h.example\r\n\r\n';

/** @param id stands in each target */
function valid(id: string): string[] {
  const host = 'Host: a.example\r\n';
  return [
    `GET /${id} HTTP/1.1\r\n${host}\r\n`,
    `GET /${id}?q=1 HTTP/1.1\r\n${host}Accept: */*\r\nUser-Agent: x/1 (y; z)\r\nCookie: a=b; c="d"\r\n\r\n`,
    `HEAD /${id} HTTP/1.1\r\n${host}If-None-Match: "x", W/"y"\r\n\r\n`,
    `POST /${id} HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nhello`,
    `POST /${id} HTTP/1.1\r\n${host}Content-Length: ${hidden.length}\r\n\r\n${hidden}`,
    `PUT /${id} HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    `POST /${id} HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n${hidden.length.toString(16)};a=b\r\n${hidden}\r\n0\r\nX: 1\r\n\r\n`,
    `POST /${id} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${host}\r\n1;a="b;c"\r\nx\r\n02\r\nyz\r\n000\r\n\r\n`,
    `OPTIONS /${id} HTTP/1.1\r\n${host}Max-Forwards: 3\r\n\r\n`,
    `GET http://b.example/${id} HTTP/1.1\r\n${host}\r\n`,
    `GET /${id} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n`,
    `DELETE /${id} HTTP/1.1\r\n${host}Connection: x-hop, keep-alive\r\nX-Hop: 1\r\nContent-Length: 0\r\n\r\n`,
    `POST /${id} HTTP/1.1\r\n${host}Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello`,
    `GET /${id} HTTP/1.1\r\n${host}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n`,
    `\r\nGET /${id} HTTP/1.2\r\n${host}\r\n`,
  ];
}

const dictionary = [
  ...[
    '\r\n',
    '\r',
    '\n',
    '\n\n',
    '\r\n\r\n',
    ' ',
    '\t',
    '\v',
    '\f',
    '\0',
    '\x7f',
    '\x80',
    '\xff',
    ':',
    ';',
    ',',
    '"',
    '\\',
    '#',
    '?',
    '%',
    '/',
    '//',
  ],
  ...[
    '0',
    '00',
    '1',
    '-',
    '+',
    '0x',
    'f',
    '9999999999999999999999',
    'chunked',
    'identity',
    'gzip, chunked',
    'close',
    'keep-alive',
  ],
  ...[
    '0\r\n\r\n',
    '5\r\nhello\r\n',
    '\r\n ',
    '\r\n\t',
    'HTTP/1.1',
    'HTTP/1.0',
    'HTTP/0.9',
    'HTTP/2.0',
    'GET ',
    'CONNECT ',
    'TRACE ',
  ],
  ...[
    'Content-Length: 5\r\n',
    'Content-Length: 0\r\n',
    'Content-Length : 5\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Transfer-Encoding : chunked\r\n',
  ],
  ...[
    'Transfer-Encoding: chunked, identity\r\n',
    'Host: c.example\r\n',
    'Connection: close\r\n',
    'Connection: content-length\r\n',
    'X: \r\n',
    ' X: 1\r\n',
  ],
  ...['Expect: 100-continue\r\n', 'Upgrade: h2c\r\n', 'TE: trailers\r\n', 'Trailer: Content-Length\r\n', hidden],
];

/** @param random from 0 to below 1 @returns octets as latin-1 text */
export function mutatedRequests(id: string, random: () => number): string {
  const below = (count: number): number => Math.floor(random() * count);
  const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T;
  let text = Array.from({ length: 1 + below(3) }, (_, i) => pick(valid(`${id}-${i}`))).join('');
  for (let left = 1 + below(4); left > 0; left--) {
    const at = below(text.length + 1);
    const lines = text.split('\r\n');
    const line = below(lines.length);
    switch (below(11)) {
      case 0:
        text = text.slice(0, at) + pick(dictionary) + text.slice(at);
        break;
      case 1:
        text = text.slice(0, at) + text.slice(at + 1 + below(4));
        break;
      case 2:
        text = text.slice(0, at) + String.fromCharCode(below(256)) + text.slice(at + 1);
        break;
      case 3:
        text = text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << below(8))) + text.slice(at + 1);
        break;
      case 4:
        lines.splice(line, 0, lines[line] ?? '');
        text = lines.join('\r\n');
        break;
      case 5:
        lines.splice(line, 1);
        text = lines.join('\r\n');
        break;
      case 6:
        lines.splice(line, 0, ...pick(dictionary).split('\r\n').slice(0, 1));
        text = lines.join('\r\n');
        break;
      case 7:
        // A line end of another kind.
        text =
          lines.slice(0, line).join('\r\n') + pick(['\n', '\r', '\r\r\n', '\n\r', '']) + lines.slice(line).join('\r\n');
        break;
      case 8:
        text = text.slice(0, at);
        break;
      case 9:
        text = text.replace(/\d/, () => String(below(10)));
        break;
      case 10: {
        const end = at + below(20);
        text = text.slice(0, end) + text.slice(at, end) + text.slice(end);
      }
    }
  }
  // Octets only, whatever was flipped.
  return Buffer.from(text, 'latin1').toString('latin1');
}
