import { encodeRoute } from '../amqp/content.ts';
import { scanProperties } from '../amqp/properties.ts';
import type { Recovered, RecoveredMessage } from '../store/ledger.ts';
import { keyOfStored } from './binding-key.ts';
import type { ExchangeSettings } from './exchange.ts';
import type { Exchanges } from './exchanges.ts';
import type { Message } from './message.ts';
import type { KeptMessage } from './queue-host.ts';
import type { Queue } from './queues.ts';
import { argumentsOfSettings, type QueueSettings, queueSettings } from './settings.ts';

/** What outlived the process that last had the ledger. */
export interface Kept extends Recovered {
  /** It ended in order: what had been handed out came back before. */
  readonly wasClean: boolean;
}

/** Makes exchanges, queues and bindings as the ledger knew them. */
export function recover(
  { exchanges, queues, bindings, messages, wasClean }: Kept,
  to: Exchanges<Queue>,
  add: (settings: QueueSettings, kept: KeptMessage[]) => Queue,
): void {
  // What is read here is what `declareExchange` and `declareQueue` wrote.
  for (const definition of exchanges) to.add(definition as unknown as ExchangeSettings);
  const byName = new Map<string, Queue>();
  for (const definition of queues) {
    const written = definition as unknown as QueueSettings;
    const settings = queueSettings({ ...written, arguments: argumentsOfSettings(written) });
    byName.set(
      settings.name,
      add(
        settings,
        (messages.get(settings.name) ?? []).map(each => keptMessage(each, wasClean)),
      ),
    );
  }
  for (const { exchange, queue: name, key: stored } of bindings) {
    const queue = byName.get(name);
    const { key, args } = keyOfStored(stored);
    const from = to.find(exchange);
    if (queue && from) to.bind(from, key, queue, args);
  }
}

function keptMessage({ index, deliveryCount, message }: RecoveredMessage, wasClean: boolean): KeptMessage {
  const { exchange, key, properties, body, expiresAt } = message;
  const kept: Message = {
    exchange,
    key,
    properties,
    body,
    route: encodeRoute(exchange, key),
    isPersistent: scanProperties(properties).deliveryMode === 2,
    expirationMs: undefined,
    hasDied: true,
  };
  kept.kept = kept;
  return { index, expiresAt, returns: deliveryCount, redelivered: deliveryCount > 0 || !wasClean, message: kept };
}
