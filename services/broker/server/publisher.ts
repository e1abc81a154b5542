import { pushContent } from '../amqp/content.ts';
import { withReplyTo } from '../amqp/edit-properties.ts';
import { AmqpError } from '../amqp/error.ts';
import { scanProperties } from '../amqp/properties.ts';
import type { Broker } from '../core/broker.ts';
import type { Message } from '../core/message.ts';
import type { Rights } from '../core/permissions.ts';
import type { Confirms } from './confirms.ts';
import type { WholePublish } from './content-assembly.ts';
import { type DirectReplies, replyAddress } from './direct-replies.ts';
import { expirationOf } from './expiration.ts';

/** What publishing needs of its channel. */
export interface PublishHost {
  readonly number: number;
  readonly frameMax: number;
  readonly broker: Broker;
  readonly replies: DirectReplies;
  readonly rights: Rights;
  readonly confirms: Confirms | undefined;
  /** The address of this channel's consumer of direct replies. */
  readonly ownReplyAddress: string | undefined;
  readonly frames: Buffer[];
  count(bytes: number): void;
}

/** Judges a publish, sends it on its way, returns it if it has none. @throws AmqpError 403, 404, 406, 502, 540 */
export function publish(host: PublishHost, { method, properties: received, body }: WholePublish): void {
  const { exchange: name, routingKey: key, mandatory, immediate, route } = method;
  const { broker, rights, confirms } = host;
  if (immediate) throw new AmqpError(540, 'immediate=true');
  rights.check('write', 'exchange', name);
  const exchange = broker.exchange(name);
  const { internal, type } = exchange.settings;
  if (internal) throw new AmqpError(403, `cannot publish to internal exchange '${name}' in vhost '/'`);
  if (type === 'topic') rights.checkTopic('write', name, key);
  const { deliveryMode, replyTo, expiration, userId } = scanProperties(received);
  if (userId !== undefined && userId !== rights.user) {
    throw new AmqpError(406, `user_id property set to '${userId}' but authenticated user was '${rights.user}'`);
  }
  const message: Message = {
    exchange: name,
    key,
    route,
    properties: replyTo === replyAddress ? withOwnAddress(received, host) : received,
    body,
    isPersistent: deliveryMode === 2,
    expirationMs: expirationOf(expiration),
  };
  const seq = confirms?.next();
  if (name === '' && key.startsWith(replyAddress) && host.replies.deliver(key, message)) {
    if (seq !== undefined) confirms?.taken(seq);
    return;
  }
  const { isRouted, isRefused, isLogged } = broker.publish(exchange, message);
  if (mandatory && !isRouted) giveBack(host, message);
  if (seq === undefined || confirms === undefined) return;
  if (isRefused) confirms.refused(seq);
  else if (isLogged) confirms.logged(seq);
  else confirms.taken(seq);
}

/** @throws AmqpError 406 */
function withOwnAddress(properties: Buffer, { ownReplyAddress }: PublishHost): Buffer {
  if (ownReplyAddress === undefined) throw new AmqpError(406, 'fast reply consumer does not exist');
  return withReplyTo(properties, ownReplyAddress);
}

function giveBack(host: PublishHost, message: Message): void {
  const { exchange, key: routingKey } = message;
  host.count(
    pushContent(
      host.frames,
      host.number,
      { name: 'basic.return', replyCode: 312, replyText: 'NO_ROUTE', exchange, routingKey },
      message,
      host.frameMax,
    ),
  );
}
