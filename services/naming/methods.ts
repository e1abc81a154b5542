import { z } from 'zod';
import type { RestMethod } from '../lib/rest/method.ts';
import { parseHostPort } from './host-port.ts';

/**
 * What naming can be asked, whatever it comes over. From this table come the checks, the routes and `/openapi.json`. Over REST
 * reading is for everybody who reaches it, and what `needsToken` is for who has naming's token; over the bus a member writes for
 * itself, and nobody forgets.
 */

const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';

/** As RFC 1123 has host names; so no name can stand in the place of `_chat._tcp`. An address is no name. */
const name = z
  .string()
  .max(253, 'must be at most 253 characters')
  .toLowerCase()
  .regex(
    new RegExp(`^(?:${label}\\.)*(?!\\d+$)${label}$`),
    'must be a host name: labels of at most 63 letters, digits and "-", with dots between them',
  )
  .meta({ description: 'In lower or upper case, which is the same.' });

const memberId = z
  .string()
  .regex(/^(?:[0-9a-f]{64})?$/, 'must be 64 lower-case hexadecimal digits')
  .default('')
  .meta({ description: 'Who serves the name; over the bus it may be left out.' });

const addresses = z
  .array(
    z
      .string()
      .max(280, 'must be at most 280 characters')
      .refine(text => parseHostPort(text) !== undefined, 'must be address:port, with an IPv6 address in brackets'),
  )
  .max(8, 'must be at most 8')
  .default([])
  .meta({ description: 'Where it is reached, `address:port`, best first; none: over the bus only.' });

const epoch = z.int().min(1, 'must be at least 1').meta({ description: 'As in the log of the name; never goes back.' });
const logOffset = z
  .int()
  .min(0, 'must not be negative')
  .default(0)
  .meta({ description: 'Of the last entry of the log that it has seen.' });
const migrationId = z
  .string()
  .regex(/^[\w.-]{1,64}$/, 'must be 1 to 64 letters, digits, "_", "." and "-"')
  .meta({ description: 'Of the migration that began the epoch.' });
const isDraining = z.boolean().default(false).meta({ description: 'Takes no hand-over now.' });
const leaseMs = z.int().meta({ description: 'Milliseconds until it counts as gone; renew three times as often.' });
const leaseLeftMs = z.int().meta({ description: 'Milliseconds of its lease; 0: not heard of.' });

const latent = z.strictObject({
  memberId: z.string(),
  addresses: z.array(z.string()),
  logOffset: z.int(),
  isDraining: z.boolean(),
  leaseLeftMs,
});

export const record = z.strictObject({
  name: z.string(),
  memberId: z.string().meta({ description: 'Who serves it; empty: only latents are known.' }),
  addresses: z.array(z.string()),
  epoch: z.int().meta({ description: '0: nobody has served it yet.' }),
  migrationId: z.string(),
  logOffset: z.int(),
  leaseLeftMs,
  latents: z.array(latent),
  latentCount: z.int(),
});

const nothing = z.strictObject({});
const named = z.strictObject({ name });
const held = { name, memberId, addresses, epoch, migrationId, logOffset };
const leased = z.strictObject({ record, leaseMs });
const writes = ['UNAUTHENTICATED', 'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'UNAVAILABLE'] as const;

export const methods = {
  register: {
    summary: 'Say that a server serves a name since an epoch',
    verb: 'post',
    path: '/register',
    status: 200,
    needsToken: true,
    request: z.strictObject(held),
    response: leased,
    failures: [...writes, 'ABORTED'],
  },
  compareAndSet: {
    summary: 'The same, if the record is at the epoch expected, or at this migration already',
    verb: 'post',
    path: '/compare-and-set',
    status: 200,
    needsToken: true,
    request: z.strictObject({
      ...held,
      expectedEpoch: z.int().min(0, 'must not be negative').meta({ description: '0: nobody has served it yet.' }),
    }),
    response: leased,
    failures: [...writes, 'ABORTED'],
  },
  registerLatent: {
    summary: 'Say that a server could serve a name',
    verb: 'post',
    path: '/latents',
    status: 200,
    needsToken: true,
    request: z.strictObject({ name, memberId, addresses, logOffset, isDraining }),
    response: leased,
    failures: [...writes, 'ABORTED'],
  },
  renew: {
    summary: 'Say that a server is there, and how far it has come',
    verb: 'post',
    path: '/renew',
    status: 200,
    needsToken: true,
    request: z.strictObject({
      name,
      memberId,
      epoch: z.int().min(0, 'must not be negative').default(0).meta({ description: '0: as a latent.' }),
      logOffset,
      isDraining,
    }),
    response: leased,
    failures: [...writes, 'ABORTED', 'NOT_FOUND'],
  },
  leave: {
    summary: "End a server's lease",
    verb: 'post',
    path: '/leave',
    status: 204,
    needsToken: true,
    request: z.strictObject({ name, memberId }),
    response: nothing,
    failures: writes,
  },
  forget: {
    summary: 'Forget all of a name, its epoch included: for when somebody reported what is not so',
    verb: 'post',
    path: '/forget',
    status: 204,
    needsToken: true,
    request: named,
    response: nothing,
    failures: [...writes, 'NOT_FOUND'],
  },
  resolve: {
    summary: 'Who serves a name, and who could',
    verb: 'get',
    path: '/resolve',
    status: 200,
    needsToken: false,
    request: named,
    response: z.strictObject({ record }),
    failures: ['NOT_FOUND', 'RESOURCE_EXHAUSTED'],
  },
  list: {
    summary: 'All names, without their latents, a page at a time',
    verb: 'get',
    path: '/names',
    status: 200,
    needsToken: false,
    request: z.strictObject({
      after: z
        .string()
        .max(253, 'must be at most 253 characters')
        .default('')
        .meta({ description: '`next` of the page before.' }),
    }),
    response: z.strictObject({
      records: z.array(record),
      next: z.string().meta({ description: 'Empty on the last page.' }),
    }),
    failures: ['RESOURCE_EXHAUSTED'],
  },
  pickLatent: {
    summary: 'A random latent that is there, takes a hand-over and has caught up',
    verb: 'post',
    path: '/pick-latent',
    status: 200,
    needsToken: false,
    request: z.strictObject({
      name,
      maxLag: z
        .int()
        .min(0, 'must not be negative')
        .default(0)
        .meta({ description: 'Entries that it may be behind the holder, as both last said.' }),
      except: z
        .array(z.string().max(64, 'must be at most 64 characters'))
        .max(256, 'must be at most 256')
        .default([])
        .meta({ description: 'Members not to be picked.' }),
    }),
    response: z.strictObject({ latent, epoch: z.int() }),
    failures: ['NOT_FOUND', 'RESOURCE_EXHAUSTED'],
  },
  watch: {
    summary: 'What is known now, then each change',
    verb: 'get',
    path: '/watch',
    status: 200,
    needsToken: false,
    isStream: true,
    request: z.strictObject({
      name: z
        .union([z.literal(''), name])
        .default('')
        .meta({ description: 'Without: all names.' }),
    }),
    response: z.strictObject({ change: z.strictObject({ kind: z.string(), record }) }),
    failures: ['RESOURCE_EXHAUSTED'],
  },
} as const satisfies Record<string, RestMethod>;

export type MethodName = keyof typeof methods;

export const methodNames = Object.keys(methods) as MethodName[];

/** For the command line, which asks for the same. @returns what is wrong, or undefined */
export function mistakeInName(text: string): string | undefined {
  return name.safeParse(text).error?.issues[0]?.message;
}
