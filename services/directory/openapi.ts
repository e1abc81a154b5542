import { z } from 'zod';
import { httpStatus } from '../lib/rpc/http-status.ts';
import { type Method, methodNames, methods } from './methods.ts';

/** The REST face as OpenAPI 3.1, out of the table that the routes come from. */
export function formatOpenApi(version: string): object {
  const paths: Record<string, Record<string, object>> = {
    '/livez': { get: { summary: 'Whether the directory runs', responses: { 200: { description: 'It does' } } } },
    '/openapi.json': { get: { summary: 'This text', responses: { 200: { description: 'OpenAPI 3.1' } } } },
  };
  for (const name of methodNames) {
    const { verb } = methods[name];
    const path = templateOf(methods[name].path);
    paths[path] = { ...paths[path], [verb]: operation(name, methods[name]) };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Warren directory', version },
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

function operation(operationId: string, method: Method): object {
  const { summary, verb, status, needsToken, request, response, failures } = method;
  const failed = ['INVALID_ARGUMENT' as const, ...failures, 'INTERNAL' as const, 'DEADLINE_EXCEEDED' as const];
  const json = (schema: object): object => ({ 'application/json': { schema } });
  const problems = new Set([...failed.map(each => httpStatus[each]), ...(verb === 'post' ? [413, 415] : [])]);
  return {
    operationId,
    summary,
    ...(needsToken ? { security: [{ token: [] }] } : {}),
    ...(verb === 'post'
      ? { requestBody: { required: !request.safeParse({}).success, content: json(schemaOf(request, 'input')) } }
      : { parameters: parametersOf(request, method.path) }),
    responses: {
      [status]:
        status === 204 ? { description: 'Done' } : { description: 'Done', content: json(schemaOf(response, 'output')) },
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
