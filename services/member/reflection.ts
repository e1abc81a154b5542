import { readFileSync } from 'node:fs';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import type { Server } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';

/** Field 1 of google.protobuf.FileDescriptorSet, length-delimited. */
const fileTag = (1 << 3) | 2;

/**
 * gRPC's server reflection, v1 and v1alpha: foreign clients learn from it what there is to call.
 * @param services full names of those to be told of
 */
export function addReflection(server: Server, services: readonly string[]): void {
  const all = { fileDescriptorProtos: readDescriptors() };
  // It reads nothing but these of a package definition.
  const definition = { all } as unknown as ConstructorParameters<typeof ReflectionService>[0];
  new ReflectionService(definition, { services: [...services] }).addToServer(server);
}

/** Each proto file as `buf build` described it. */
function readDescriptors(): Buffer[] {
  const file = new URL('../../proto/gen/descriptors.binpb', import.meta.url);
  const reader = new BinaryReader(readFileSync(file));
  const files: Buffer[] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === fileTag) files.push(Buffer.from(reader.bytes()));
    else reader.skip(tag & 7);
  }
  return files;
}
