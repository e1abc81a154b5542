import type { ReceivedClientMethod } from '../amqp/decode-method.ts';
import { AmqpError } from '../amqp/error.ts';
import type { FieldTable } from '../amqp/field-value.ts';
import { frameMinSize } from '../amqp/frame.ts';
import { type MethodOf, specOf } from '../amqp/method-spec.ts';

type StartOk = Extract<ReceivedClientMethod, { name: 'connection.start-ok' }>;

/** What is offered in connection.tune, as by RabbitMQ: channels, octets, seconds. */
export const offered = { channelMax: 2047, frameMax: 131_072, heartbeat: 60 } as const;

export function startMethod(version: string): MethodOf<'connection.start'> {
  return {
    name: 'connection.start',
    versionMajor: 0,
    versionMinor: 9,
    serverProperties: {
      product: 'Warren',
      version,
      platform: 'Node.js',
      cluster_name: 'warren',
      information: 'The embedded broker of Warren, for one machine; production runs on RabbitMQ',
      capabilities: {
        publisher_confirms: true,
        exchange_exchange_bindings: false,
        'basic.nack': true,
        consumer_cancel_notify: true,
        'connection.blocked': true,
        consumer_priorities: false,
        authentication_failure_close: true,
        per_consumer_qos: true,
        direct_reply_to: true,
      },
    },
    mechanisms: Buffer.from('PLAIN'),
    locales: Buffer.from('en_US'),
  };
}

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** NUL, name, NUL, password (RFC 4616); an authorisation id in front is not looked at, as by RabbitMQ. Undefined: not PLAIN. */
export function credentialsOf({ mechanism, response }: StartOk): Credentials | undefined {
  if (mechanism !== 'PLAIN') return undefined;
  const [, user, password] = response.toString('utf8').split('\0');
  return user === undefined || password === undefined ? undefined : { user, password };
}

/** What a client says that it can take (RabbitMQ, "Capabilities"). */
export interface Client {
  /** What it calls itself. */
  readonly name: string;
  /** It is told of a refused login, and not only disconnected. */
  readonly hearsRefusedLogin: boolean;
  readonly hearsCancel: boolean;
  readonly hearsBlocked: boolean;
}

export function clientOf({ connection_name: own, product, capabilities }: FieldTable): Client {
  const can = (what: string): boolean => {
    const isTable = typeof capabilities === 'object' && capabilities !== null;
    return isTable && (capabilities as FieldTable)[what] === true;
  };
  return {
    name: typeof own === 'string' ? own : typeof product === 'string' ? product : '',
    hearsRefusedLogin: can('authentication_failure_close'),
    hearsCancel: can('consumer_cancel_notify'),
    hearsBlocked: can('connection.blocked'),
  };
}

export function refusedLogin(mechanism: string): AmqpError {
  return new AmqpError(
    403,
    `Login was refused using authentication mechanism ${mechanism}. For details see the broker logfile.`,
  );
}

/** What the client asks for must be within what was offered; none of it may be without a limit. @throws AmqpError 530 */
export function checkTuned({ channelMax, frameMax }: MethodOf<'connection.tune-ok'>): void {
  const refuse = (text: string): AmqpError => new AmqpError(530, text, specOf('connection.tune-ok'));
  if (frameMax !== 0 && frameMax < frameMinSize) throw refuse(`frame_max=${frameMax} < ${frameMinSize} min size`);
  if (frameMax === 0 || frameMax > offered.frameMax)
    throw refuse(`frame_max=${frameMax} > ${offered.frameMax} max size`);
  if (channelMax === 0 || channelMax > offered.channelMax)
    throw refuse(`channel_max=${channelMax} > ${offered.channelMax} max size`);
}
