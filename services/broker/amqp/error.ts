/** What an error ends: one channel, or the connection with all of its channels. */
export type ErrorScope = 'channel' | 'connection';

interface Reply {
  readonly name: string;
  readonly scope: ErrorScope;
}

/** The reply codes of AMQP 0-9-1: soft errors close the channel, hard errors the connection. */
export const replyCodes = {
  311: { name: 'CONTENT_TOO_LARGE', scope: 'channel' },
  312: { name: 'NO_ROUTE', scope: 'channel' },
  313: { name: 'NO_CONSUMERS', scope: 'channel' },
  320: { name: 'CONNECTION_FORCED', scope: 'connection' },
  402: { name: 'INVALID_PATH', scope: 'connection' },
  403: { name: 'ACCESS_REFUSED', scope: 'channel' },
  404: { name: 'NOT_FOUND', scope: 'channel' },
  405: { name: 'RESOURCE_LOCKED', scope: 'channel' },
  406: { name: 'PRECONDITION_FAILED', scope: 'channel' },
  501: { name: 'FRAME_ERROR', scope: 'connection' },
  502: { name: 'SYNTAX_ERROR', scope: 'connection' },
  503: { name: 'COMMAND_INVALID', scope: 'connection' },
  504: { name: 'CHANNEL_ERROR', scope: 'connection' },
  505: { name: 'UNEXPECTED_FRAME', scope: 'connection' },
  506: { name: 'RESOURCE_ERROR', scope: 'connection' },
  530: { name: 'NOT_ALLOWED', scope: 'connection' },
  540: { name: 'NOT_IMPLEMENTED', scope: 'connection' },
  541: { name: 'INTERNAL_ERROR', scope: 'connection' },
} as const satisfies Record<number, Reply>;

export type ReplyCode = keyof typeof replyCodes;

/** The method that an error answers; 0 and 0 when none does. */
export interface MethodId {
  readonly classId: number;
  readonly methodId: number;
}

const noMethod: MethodId = { classId: 0, methodId: 0 };

/** A short string holds as much (§4.2.5.3). */
const maxTextBytes = 255;

/**
 * What `channel.close` or `connection.close` will say. The text has RabbitMQ's form:
 * `NOT_FOUND - no queue 'x' in vhost '/'`, and is cut to fit the close method.
 */
export class AmqpError extends Error {
  readonly code: ReplyCode;
  /** What is behind the code's name in the text, whole. */
  readonly explanation: string;
  readonly text: string;
  readonly classId: number;
  readonly methodId: number;
  readonly scope: ErrorScope;

  constructor(code: ReplyCode, explanation: string, method: MethodId = noMethod, options?: ErrorOptions) {
    const { name, scope } = replyCodes[code];
    const text = shortened(`${name} - ${explanation}`);
    super(text, options);
    this.name = 'AmqpError';
    this.code = code;
    this.explanation = explanation;
    this.text = text;
    this.classId = method.classId;
    this.methodId = method.methodId;
    this.scope = scope;
  }

  /** The same as the answer to that method, unless it answers one already: who finds an error need not know for whom. */
  answering(method: MethodId): AmqpError {
    return this.classId === 0 ? new AmqpError(this.code, this.explanation, method, { cause: this }) : this;
  }
}

function shortened(text: string): string {
  if (text.length * 3 <= maxTextBytes || Buffer.byteLength(text) <= maxTextBytes) return text;
  const bytes = Buffer.from(text);
  let end = maxTextBytes - 3;
  // Not in the middle of a character: its later octets are 10xxxxxx.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return `${bytes.toString('utf8', 0, end)}...`;
}

/** Octets as RabbitMQ's messages show them, `<<0,60,0>>`; no more than `most` of them. */
export function showOctets(bytes: Uint8Array, most: number): string {
  return bytes.length > most ? `<<${bytes.subarray(0, most).join(',')},...` : `<<${bytes.join(',')}>>`;
}
