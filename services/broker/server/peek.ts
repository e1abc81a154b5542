import { type MethodName, specOf } from '../amqp/method-spec.ts';

/** Whether a method frame's payload is that method, without decoding it. */
export function isMethod(name: MethodName, bytes: Buffer, start: number): boolean {
  const { classId, methodId } = specOf(name);
  return bytes.readUInt16BE(start) === classId && bytes.readUInt16BE(start + 2) === methodId;
}
