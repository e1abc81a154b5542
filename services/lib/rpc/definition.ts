import type { MemberId } from '../identity/member-id.ts';

interface Codec {
  // Of one message type, which only the types that are derived below know.
  encode(message: never): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
}

export interface MethodDefinition {
  readonly name: string;
  readonly requestType: Codec;
  readonly requestStream: boolean;
  readonly responseType: Codec;
  readonly responseStream: boolean;
}

/** A proto service as ts-proto describes it (`…ServiceDefinition`); over the bus or gRPC, with the same handlers. */
export interface ServiceDefinition {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, MethodDefinition>>;
}

type MessageOf<C> = C extends { decode(bytes: Uint8Array): infer T } ? T : never;
type Methods<S extends ServiceDefinition> = S['methods'];
export type RequestOf<S extends ServiceDefinition, M extends keyof Methods<S>> = MessageOf<
  Methods<S>[M]['requestType']
>;
export type ResponseOf<S extends ServiceDefinition, M extends keyof Methods<S>> = MessageOf<
  Methods<S>[M]['responseType']
>;

/** Those with one answer: over the bus there are no others. */
type Unary<S extends ServiceDefinition> = {
  [M in keyof Methods<S>]: Methods<S>[M]['responseStream'] extends false ? M : never;
}[keyof Methods<S>];

/** Who calls, and how long it waits; the same whatever the call came over. */
export interface Caller {
  /** Where it comes from, for limits: its broker account, or its network address. */
  readonly address: string;
  /** Which member it is, as broker or TLS checked it; undefined: not a member, or not said. */
  readonly memberId?: MemberId;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** A service's methods. They fail with a `CallFailure`; anything else is our fault, and the caller is told no more. */
export type Handlers<S extends ServiceDefinition> = {
  readonly [M in keyof Methods<S>]: Methods<S>[M]['responseStream'] extends true
    ? (request: RequestOf<S, M>, caller: Caller) => AsyncIterable<ResponseOf<S, M>>
    : (request: RequestOf<S, M>, caller: Caller) => Promise<ResponseOf<S, M>>;
};

export type UnaryHandlers<S extends ServiceDefinition> = Pick<Handlers<S>, Unary<S>>;

export interface CallOptions {
  /** Of a stream: of all of it; none unless given. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

export type Client<S extends ServiceDefinition> = {
  readonly [M in keyof Methods<S>]: Methods<S>[M]['responseStream'] extends true
    ? (request: RequestOf<S, M>, options?: CallOptions) => AsyncIterable<ResponseOf<S, M>>
    : (request: RequestOf<S, M>, options?: CallOptions) => Promise<ResponseOf<S, M>>;
};

export type UnaryClient<S extends ServiceDefinition> = Pick<Client<S>, Unary<S>>;

/** Milliseconds, for callers who did not say. */
export const patienceMs = 10_000;

/** A service with its handlers, where several are served together. */
export interface Served {
  readonly definition: ServiceDefinition;
  readonly handlers: Readonly<
    Record<string, (request: never, caller: Caller) => Promise<unknown> | AsyncIterable<unknown>>
  >;
}

/** @param handlers all of the service's methods; over the bus those that stream are not served. */
export function served<S extends ServiceDefinition>(definition: S, handlers: Handlers<S>): Served {
  return { definition, handlers: handlers as Served['handlers'] };
}
