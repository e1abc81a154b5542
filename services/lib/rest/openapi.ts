import { z } from 'zod';
import { httpStatus } from './http-status.ts';
import type { RestMethod } from './method.ts';

/** Which service it is, and what it can be asked. */
export interface RestApi<Name extends string = string> {
  /** `directory`, as people call it. */
  readonly service: string;
  readonly version: string;
  readonly methods: Readonly<Record<Name, RestMethod>>;
}

/** The REST face as OpenAPI 3.1, out of the table that the routes come from. */
export function formatOpenApi({ service, version, methods }: RestApi): object {
  const paths: Record<string, Record<string, object>> = {
    '/livez': { get: { summary: `Whether the ${service} runs`, responses: { 200: { description: 'It does' } } } },
    '/openapi.json': { get: { summary: 'This text', responses: { 200: { description: 'OpenAPI 3.1' } } } },
  };
  for (const [name, method] of Object.entries(methods)) {
    const { verb } = method;
    const path = templateOf(method.path);
    paths[path] = { ...paths[path], [verb]: operation(name, method) };
  }
  return {
    openapi: '3.1.0',
    info: { title: `Warren ${service}`, version },
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      responses: {
        Problem: {
          description: 'What is wrong (RFC 9457)',
          content: { 'application/problem+json': { schema: schemaOf(problem, 'output') } },
        },
      },
    },
  };
}

export const problem = z.strictObject({
  type: z.literal('about:blank'),
  title: z.string(),
  status: z.int(),
  detail: z.string().meta({ description: 'One line for people.' }),
  code: z.string().meta({ description: 'A stable word for programs.' }),
});

function operation(operationId: string, method: RestMethod): object {
  const { summary, verb, status, needsToken, isStream, request, response, failures } = method;
  const failed = ['INVALID_ARGUMENT' as const, ...failures, 'INTERNAL' as const, 'DEADLINE_EXCEEDED' as const];
  const json = (schema: object): object => ({ 'application/json': { schema } });
  const answer = schemaOf(response, 'output');
  const problems = new Set([...failed.map(each => httpStatus[each]), ...(verb === 'post' ? [413, 415] : [])]);
  return {
    operationId,
    summary,
    ...(needsToken ? { security: [{ token: [] }] } : {}),
    ...(verb === 'post'
      ? { requestBody: { required: !request.safeParse({}).success, content: json(schemaOf(request, 'input')) } }
      : { parameters: parametersOf(request, method.path) }),
    responses: {
      [status]: {
        description: isStream ? 'An event for each' : 'Done',
        ...(status === 204 ? {} : { content: isStream ? { 'text/event-stream': { schema: answer } } : json(answer) }),
      },
      ...Object.fromEntries([...problems].map(each => [each, { $ref: '#/components/responses/Problem' }])),
    },
  };
}

/** A path of ours, `/files/:id`, as OpenAPI writes it: `/files/{id}`. */
export function templateOf(path: string): string {
  return path.replaceAll(/:(\w+)/g, '{$1}');
}

function parametersOf(request: z.ZodObject, path: string): object[] {
  const inPath = path.split('/');
  return Object.entries(request.shape).map(([name, schema]) => ({
    name,
    in: inPath.includes(`:${name}`) ? 'path' : 'query',
    required: !z.safeParse(schema, undefined).success,
    schema: schemaOf(schema as z.ZodType, 'input'),
  }));
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io });
  return rest;
}
