import { type Body, BodyGathering } from '../amqp/body.ts';
import { decodeHeader } from '../amqp/content-header.ts';
import type { Publish } from '../amqp/decode-method.ts';
import { AmqpError } from '../amqp/error.ts';
import { specOf } from '../amqp/method-spec.ts';

/** Octets of body, as RabbitMQ 4.x has it. */
export const messageLimit = 16 * 1024 * 1024;

/** A publish with all of its content. */
export interface WholePublish {
  readonly method: Publish;
  readonly properties: Buffer;
  readonly body: Body;
}

const nothing: Buffer = Buffer.alloc(0);

/**
 * The content of one channel's publishes (§4.2.6), by what must come next: a method; the content header of a publish; as much of its body
 * as the header said. Anything else is 505.
 */
export class ContentAssembly {
  /** The content header must come next, or, `#left` being more than 0, a piece of body. */
  #method: Publish | undefined;
  #properties = nothing;
  #left = 0;
  readonly #gathering = new BodyGathering();
  #isGathering = false;

  /** What a body that is not all there yet takes in memory. */
  get heldBytes(): number {
    return this.#gathering.heldBytes;
  }

  /** @throws AmqpError 505 when no method may come now */
  expectMethod(): void {
    if (this.#method) throw this.#unexpected();
  }

  begin(method: Publish): void {
    this.#method = method;
  }

  /** @returns the publish, when it has no body @throws AmqpError 406, 501, 505 */
  header(bytes: Buffer, start: number, end: number): WholePublish | undefined {
    if (!this.#method || this.#left > 0) throw this.#unexpected();
    const { bodySize, properties } = decodeHeader(bytes, start, end);
    if (bodySize > messageLimit) {
      throw new AmqpError(
        406,
        `message size ${bodySize} is larger than configured max size ${messageLimit}`,
        specOf('basic.publish'),
      );
    }
    this.#properties = properties;
    this.#left = bodySize;
    return bodySize === 0 ? this.#take(nothing) : undefined;
  }

  /** @returns the publish, when its body is whole @throws AmqpError 505 */
  body(piece: Body): WholePublish | undefined {
    if (!this.#method || this.#left === 0) throw this.#unexpected();
    if (piece.length > this.#left)
      throw new AmqpError(505, 'content body frame exceeds remaining content size', specOf('basic.publish'));
    this.#left -= piece.length;
    if (this.#left === 0 && !this.#isGathering) return this.#take(piece);
    this.#gathering.add(piece);
    this.#isGathering = this.#left > 0;
    return this.#isGathering ? undefined : this.#take(this.#gathering.take());
  }

  #take(body: Body): WholePublish | undefined {
    const method = this.#method;
    this.#method = undefined;
    return method && { method, properties: this.#properties, body };
  }

  #unexpected(): AmqpError {
    if (!this.#method) return new AmqpError(505, 'expected method frame, got non method frame instead');
    const expected =
      this.#left > 0
        ? 'expected content body, got non content body frame instead'
        : 'expected content header for class 60, got non content header frame instead';
    return new AmqpError(505, expected, specOf('basic.publish'));
  }
}
