/** Frame types (§2.3.5). */
export const frameType = { method: 1, header: 2, body: 3, heartbeat: 8 } as const;

/** The octet that ends every frame. */
export const frameEnd = 0xce;

/** Type, channel, and the payload's size: the octets in front of every payload. */
export const frameHeadBytes = 7;

/** What a frame has besides its payload. */
export const emptyFrameBytes = 8;

/** The least frame-max that may be negotiated, in octets; before it is, no frame may be larger. */
export const frameMinSize = 4096;

/** The frame that either side sends to show that it lives (§4.2.7). */
export const heartbeatFrame = Buffer.from([frameType.heartbeat, 0, 0, 0, 0, 0, 0, frameEnd]);

/** Writes the head of a frame. @returns where its payload begins */
export function writeFrameHead(bytes: Buffer, at: number, type: number, channel: number, size: number): number {
  bytes[at] = type;
  bytes.writeUInt16BE(channel, at + 1);
  bytes.writeUInt32BE(size, at + 3);
  return at + frameHeadBytes;
}
