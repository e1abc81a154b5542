import { z } from 'zod';
import type { RestMethod } from '../lib/rest/method.ts';
import { areUnique, counter, fileId, fileSize, isPart, noNameTwice, partsLimit, sharedFile } from './shared-file.ts';

/** What the directory can be asked about files: a part of `methods.ts`. */

/** Of one call; an announcement has fewer. */
const filesOfCall = 10_000;

export const indexState = z.strictObject({
  counter: counter.meta({ description: 'The highest taken in.' }),
  files: z.int().meta({ description: 'Names under which there is a file.' }),
  refused: z.string().meta({ description: 'The last announcement that was refused; empty: none since the last list.' }),
});

const source = z.strictObject({
  peerId: z.string(),
  username: z.string(),
  addresses: z.array(z.string()),
  file: sharedFile.meta({ description: 'As this peer says.' }),
});

/** As it stands in a query, too. */
const flag = z.union([
  z.boolean(),
  z.enum(['', '0', '1', 'false', 'true']).transform(text => text === '1' || text === 'true'),
]);
const size = z.union([
  fileSize,
  z
    .string()
    .regex(/^\d{1,15}$/, 'must be a number of bytes')
    .transform(Number),
]);

const type = z
  .string()
  .regex(/^[a-z0-9]{0,16}$/, 'must be up to 16 of a-z and 0-9')
  .meta({ description: 'Extension, without the dot; empty: any, or none.' });

const found = z.strictObject({
  id: fileId,
  name: z.string(),
  size: fileSize,
  type,
  peers: z.int().meta({ description: 'Active ones that have it.' }),
  downloads: z.int().meta({ description: 'Members that downloaded it.' }),
});

export const fileMethods = {
  index: {
    summary: 'Say all that the peer shares, in place of what it said before',
    verb: 'post',
    path: '/index',
    status: 200,
    needsToken: true,
    bodyLimitBytes: 4 * 1024 * 1024,
    request: z
      .strictObject({
        files: z.array(sharedFile).max(filesOfCall, `must be at most ${filesOfCall}; more go in parts`),
        counter: counter.default(0).meta({ description: 'Needed of a member, and for parts.' }),
        part: z.int().min(0).default(0).meta({ description: 'From 0. What was before goes when all parts are there.' }),
        parts: z.int().min(0).max(partsLimit).default(0).meta({ description: '0: it is one.' }),
      })
      .refine(({ part, parts }) => isPart({ part, parts: parts || 1 }), 'part must be less than parts')
      .refine(({ files }) => areUnique(files.map(({ name }) => name)), noNameTwice),
    response: z.strictObject({ index: indexState.optional() }),
    failures: ['UNAUTHENTICATED', 'RESOURCE_EXHAUSTED'],
  },
  download: {
    summary: 'Who has a file: a random active peer, or all',
    verb: 'get',
    path: '/download',
    status: 200,
    needsToken: true,
    request: z.strictObject({
      file: z
        .string()
        .min(1, 'must not be empty')
        .max(1_024, 'must be at most 1024 characters')
        .meta({ description: 'Its id, or its name: the whole path, or if nobody has that, the last segment.' }),
      all: flag.default(false).meta({ description: 'Every one.' }),
    }),
    response: z.strictObject({ sources: z.array(source) }),
    failures: ['UNAUTHENTICATED', 'NOT_FOUND'],
  },
  upload: {
    summary: 'Somebody to give a file to: a random active peer other than the asker',
    verb: 'get',
    path: '/upload',
    status: 200,
    needsToken: true,
    request: z.strictObject({}),
    response: source.omit({ file: true }),
    failures: ['UNAUTHENTICATED', 'NOT_FOUND'],
  },
  search: {
    summary: 'Files by words of their names, type and size, a page at a time',
    verb: 'get',
    path: '/search',
    status: 200,
    needsToken: true,
    request: z.strictObject({
      q: z
        .string()
        .max(256, 'must be at most 256 characters')
        .default('')
        .meta({ description: 'Words that all stand in the name; `begin*`: that begin so. Empty: any.' }),
      type: type.default(''),
      minSize: size.default(0),
      maxSize: size.default(0).meta({ description: '0: any.' }),
      after: z
        .string()
        .regex(/^\d{0,6}$/, 'must be of a page before')
        .default('')
        .meta({ description: '`next` of the page before.' }),
    }),
    response: z.strictObject({
      files: z.array(found),
      next: z.string().meta({ description: 'Empty on the last page.' }),
      isCut: z.boolean().meta({ description: 'More matched than are looked at: say more about what is sought.' }),
    }),
    failures: ['UNAUTHENTICATED'],
  },
  getFile: {
    summary: 'What is known of a file',
    verb: 'get',
    path: '/files/:id',
    status: 200,
    needsToken: true,
    request: z.strictObject({ id: fileId }),
    response: z.strictObject({
      id: fileId,
      size: fileSize,
      type,
      names: z.array(z.string()),
      sources: z.array(source).meta({ description: 'Active ones.' }),
      holders: z.int().meta({ description: 'Of all, active or not.' }),
      downloads: z.int().meta({ description: 'Members that downloaded it.' }),
      times: z.int(),
      bytes: z.int().meta({ description: 'That moved for it.' }),
      last: z.array(z.strictObject({ memberId: z.string(), times: z.int(), bytes: z.int(), atMs: z.int() })),
    }),
    failures: ['UNAUTHENTICATED', 'NOT_FOUND'],
  },
} as const satisfies Record<string, RestMethod>;
