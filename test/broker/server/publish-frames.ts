import { pushContent } from '../../../services/broker/amqp/content.ts';
import { methodFrame } from '../../../services/broker/amqp/encode-method.ts';
import { encodeProperties, type Properties } from '../../../services/broker/amqp/properties.ts';

/** basic.publish to the default exchange, with its content. */
export function publishFrames(channel: number, routingKey: string, body: string, properties: Properties = {}): Buffer {
  const frames: Buffer[] = [];
  const content = { properties: encodeProperties(properties), body: Buffer.from(body) };
  // A server's frames but for the method, which is replaced.
  pushContent(
    frames,
    channel,
    { name: 'basic.return', replyCode: 0, replyText: '', exchange: '', routingKey: '' },
    content,
    131_072,
  );
  const method = methodFrame(channel, {
    name: 'basic.publish',
    exchange: '',
    routingKey,
    mandatory: false,
    immediate: false,
  });
  const all = Buffer.concat(frames);
  return Buffer.concat([method, all.subarray(8 + all.readUInt32BE(3))]);
}
