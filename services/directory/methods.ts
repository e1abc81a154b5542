import { z } from 'zod';
import type { RestMethod } from '../lib/rest/method.ts';
import { mistakeIn } from '../lib/rest/mistake.ts';
import { fileMethods, indexState } from './file-methods.ts';

const username = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9._-]{0,30}[a-z0-9])?$/,
    'must be 1 to 32 of a-z, 0-9, ".", "_" and "-", with a letter or digit at both ends',
  )
  .meta({ description: 'Name of the account.' });

const anyPassword = z.string().min(1, 'must not be empty').max(256, 'must be at most 256 characters');

const newPassword = anyPassword.min(8, 'must be at least 8 characters').meta({ description: 'Of a new account.' });

const addresses = z
  .array(z.string().regex(/^[!-~]{1,256}$/, 'must be 1 to 256 visible ASCII characters'))
  .max(8, 'must be at most 8')
  .default([])
  .meta({ description: 'Where others can reach the peer, best first; none: over the bus only.' });

const peerId = z.string().meta({ description: 'The member’s id, or of one session; no secret.' });

const digits = (count: number) =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-f]{${count}}$`), `must be ${count} lower-case hexadecimal digits`)
    .optional();
const leaseMs = z
  .int()
  .meta({ description: 'Milliseconds until the peer drops out unless it pings; ping three times as often.' });
const nothing = z.strictObject({});
const atMs = z.int().meta({ description: "Milliseconds since 1970, of the directory's clock." });
const member = z.strictObject({
  memberId: z.string().meta({ description: 'SHA-256 of its public key, 64 hexadecimal digits.' }),
  publicKey: z.string().meta({ description: 'Ed25519, 32 bytes in base64url.' }),
  username,
  addresses: z.array(z.string()),
  services: z.array(z.string()).meta({ description: 'Which it may work for.' }),
  joinedAtMs: atMs,
  lastSeenAtMs: atMs.meta({ description: 'To the minute; 0: never.' }),
  activeForMs: z.int().meta({ description: 'Milliseconds that it has been active without a break; 0: it is not.' }),
  certificateEndsAtMs: atMs,
  sealingKey: z.string().meta({ description: 'X25519, 32 bytes in base64url; empty: it has published none.' }),
  sealingKeySignature: z.string().meta({ description: "By the member's key; in base64url." }),
});

/**
 * What the directory can be asked, whatever it comes over. From this table come the checks, the routes and `/openapi.json`.
 * Over the bus a session's token is the field `token`.
 */
export const methods = {
  createUser: {
    summary: 'Make an account',
    verb: 'post',
    path: '/users',
    status: 201,
    needsToken: false,
    request: z.strictObject({ username, password: newPassword }),
    response: z.strictObject({ username }),
    failures: ['PERMISSION_DENIED', 'ALREADY_EXISTS', 'RESOURCE_EXHAUSTED'],
  },
  login: {
    summary: 'Begin a session, and be an active peer',
    verb: 'post',
    path: '/login',
    status: 200,
    needsToken: false,
    // A name or password that no account can have is a wrong one, and not told apart.
    request: z.strictObject({
      username: z.string().min(1, 'must not be empty').max(256, 'must be at most 256 characters'),
      password: anyPassword,
      addresses,
      memberKey: digits(64).meta({ description: 'Ed25519, of a member that logs in as such.' }),
      memberSignature: digits(128).meta({ description: 'The member’s, over this request: see directory.proto.' }),
    }),
    response: z.strictObject({
      token: z.string().meta({ description: 'Whoever has it is the account, until it expires or is logged out.' }),
      peerId,
      expiresInS: z.int().meta({ description: 'Seconds that the token is good for.' }),
      leaseMs,
    }),
    failures: ['UNAUTHENTICATED', 'RESOURCE_EXHAUSTED'],
  },
  logout: {
    summary: 'End the session',
    verb: 'post',
    path: '/logout',
    status: 204,
    needsToken: true,
    request: nothing,
    response: nothing,
    failures: ['UNAUTHENTICATED'],
  },
  ping: {
    summary: 'Stay, or become again, an active peer; addresses replace those given before',
    verb: 'post',
    path: '/ping',
    status: 200,
    needsToken: true,
    request: z.strictObject({ addresses }),
    response: z.strictObject({ leaseMs, index: indexState.optional() }),
    failures: ['UNAUTHENTICATED'],
  },
  listPeers: {
    summary: 'The active peers, a page at a time',
    verb: 'get',
    path: '/peers',
    status: 200,
    needsToken: true,
    request: z.strictObject({
      after: z
        .string()
        .max(64, 'must be at most 64 characters')
        .default('')
        .meta({ description: '`next` of the page before.' }),
    }),
    response: z.strictObject({
      peers: z.array(z.strictObject({ peerId, username, addresses: z.array(z.string()) })),
      next: z.string().meta({ description: 'Empty on the last page.' }),
    }),
    failures: ['UNAUTHENTICATED'],
  },
  listMembers: {
    summary: 'The machines that have joined, a page at a time',
    verb: 'get',
    path: '/members',
    status: 200,
    needsToken: true,
    request: z.strictObject({
      after: z
        .string()
        .max(64, 'must be at most 64 characters')
        .default('')
        .meta({ description: '`next` of the page before.' }),
      username: z
        .string()
        .max(64, 'must be at most 64 characters')
        .default('')
        .meta({ description: 'Of this account only; empty: of all.' }),
    }),
    response: z.strictObject({
      members: z.array(member),
      next: z.string().meta({ description: 'Empty on the last page.' }),
    }),
    failures: ['UNAUTHENTICATED'],
  },
  getMember: {
    summary: 'One machine that has joined',
    verb: 'get',
    path: '/member',
    status: 200,
    needsToken: true,
    request: z.strictObject({
      memberId: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 of 0-9 and a-f'),
    }),
    response: z.strictObject({ member }),
    failures: ['UNAUTHENTICATED', 'NOT_FOUND'],
  },
  ...fileMethods,
} as const satisfies Record<string, RestMethod>;

export type MethodName = keyof typeof methods;

export const methodNames = Object.keys(methods) as MethodName[];

/** For `warren users`, which asks for the same. @returns what is wrong, or undefined */
export function mistakeInAccount(account: { username: string; password: string }): string | undefined {
  const { error } = methods.createUser.request.safeParse(account);
  return error && mistakeIn(error);
}

/** Of an account that is to be made in another way. @returns what is wrong, or undefined */
export function mistakeInName(name: string): string | undefined {
  const { error } = z.strictObject({ username }).safeParse({ username: name });
  return error && mistakeIn(error);
}

/** @returns what is wrong, or undefined */
export function mistakeInPassword(password: string): string | undefined {
  const { error } = z.strictObject({ password: newPassword }).safeParse({ password });
  return error && mistakeIn(error);
}
