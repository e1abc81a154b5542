import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import type { Method } from '../../../services/broker/amqp/method-spec.ts';
import { type Received, type ScriptedBroker, startScriptedBroker } from './scripted-broker.ts';

/** Octets of a whole frame. */
export const frameMax = 8192;

/** Answers that no test is about. */
export function usual({ method }: Received): readonly (Method | Buffer)[] {
  switch (method.name) {
    case 'connection.start-ok':
      return [{ name: 'connection.tune', channelMax: 100, frameMax, heartbeat: 0 }];
    case 'connection.open':
      return [{ name: 'connection.open-ok' }];
    case 'connection.close':
      return [{ name: 'connection.close-ok' }];
    case 'channel.open':
      return [{ name: 'channel.open-ok' }];
    case 'channel.close':
      return [{ name: 'channel.close-ok' }];
    case 'confirm.select':
      return [{ name: 'confirm.select-ok' }];
    case 'basic.qos':
      return [{ name: 'basic.qos-ok' }];
    case 'basic.consume':
      return [{ name: 'basic.consume-ok', consumerTag: method.consumerTag }];
    case 'basic.cancel':
      return [{ name: 'basic.cancel-ok', consumerTag: method.consumerTag }];
    case 'exchange.declare':
      return [{ name: 'exchange.declare-ok' }];
    case 'exchange.delete':
      return [{ name: 'exchange.delete-ok' }];
    case 'exchange.bind':
      return [{ name: 'exchange.bind-ok' }];
    case 'exchange.unbind':
      return [{ name: 'exchange.unbind-ok' }];
    case 'queue.declare':
      return [{ name: 'queue.declare-ok', queue: method.queue || 'amq.gen-1', messageCount: 7, consumerCount: 3 }];
    case 'queue.bind':
      return [{ name: 'queue.bind-ok' }];
    case 'queue.unbind':
      return [{ name: 'queue.unbind-ok' }];
    case 'queue.purge':
      return [{ name: 'queue.purge-ok', messageCount: 5 }];
    case 'queue.delete':
      return [{ name: 'queue.delete-ok', messageCount: 4 }];
    case 'basic.get':
      return [{ name: 'basic.get-empty' }];
    case 'basic.recover':
      return [{ name: 'basic.recover-ok' }];
    case 'connection.update-secret':
      return [{ name: 'connection.update-secret-ok' }];
    default:
      return [];
  }
}

export interface Session extends AsyncDisposable {
  readonly broker: ScriptedBroker;
  readonly connection: ChannelModel;
  readonly channel: ConfirmChannel;
}

/** amqplib connected to a broker that answers as told, or as usual, with a confirm channel. */
export async function startSession(
  answer: (received: Received) => readonly (Method | Buffer)[] | undefined,
): Promise<Session> {
  const broker = await startScriptedBroker(received => answer(received) ?? usual(received));
  const connection = await connect(broker.url, { noDelay: true });
  connection.on('error', () => {});
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => {});
  return { broker, connection, channel, [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose]() };
}
