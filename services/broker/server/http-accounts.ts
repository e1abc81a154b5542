import { Router } from 'express';
import { z } from 'zod';
import { hashingAlgorithm } from '../../bus/accounts/password-hash.ts';
import type { Accounts, StoredAccount } from './accounts.ts';
import { bodyAs, checkVhost, notFound } from './http-problem.ts';
import { permissionViews, topicViews, userView } from './http-views.ts';

const tagList = z.union([
  z.array(z.string().min(1).max(64)).max(16),
  // As RabbitMQ takes them too: with commas.
  z
    .string()
    .max(1_024)
    .transform(text =>
      text
        .split(',')
        .map(tag => tag.trim())
        .filter(Boolean),
    ),
]);
const userBody = z.strictObject({
  password: z.string().min(1).max(1_024).optional(),
  password_hash: z.string().max(64).optional(),
  hashing_algorithm: z.literal(hashingAlgorithm).optional(),
  tags: tagList.default([]),
});
const limitBody = z.strictObject({ value: z.int().min(-1).max(1_000_000) });
const limitNames = { 'max-connections': 'connections', 'max-channels': 'channels' } as const;
const pattern = z.string().max(4_096);
const permissionBody = z.strictObject({ configure: pattern, write: pattern, read: pattern });
const topicBody = z.strictObject({ exchange: z.string().max(255), write: pattern, read: pattern });

/** Accounts and what they may do; for administrators. A change counts at once, for open connections too. */
export function accountRoutes(accounts: Accounts): Router {
  const routes = Router();
  routes.param('vhost', checkVhost);
  const find = (name: string): StoredAccount => {
    const account = accounts.find(name);
    if (!account) throw notFound(`account ${JSON.stringify(name)}`);
    return account;
  };

  routes.get('/users', (_request, response) => void response.json(accounts.all().map(userView)));
  routes
    .route('/users/:name')
    .get((request, response) => void response.json(userView(find(request.params.name))))
    .put(async (request, response) => {
      const { name } = request.params;
      const isNew = accounts.find(name) === undefined;
      const { password, password_hash: passwordHash, tags } = bodyAs(userBody, request.body);
      await accounts.put(name, { password, passwordHash, tags });
      response.status(isNew ? 201 : 204).end();
    })
    .delete(async (request, response) => {
      find(request.params.name);
      await accounts.delete(request.params.name);
      response.status(204).end();
    });

  routes.get(
    '/users/:name/permissions',
    (request, response) => void response.json(permissionViews(find(request.params.name))),
  );
  routes.get(
    '/users/:name/topic-permissions',
    (request, response) => void response.json(topicViews(find(request.params.name))),
  );

  const limitOf = (kind: string): 'connections' | 'channels' => {
    if (Object.hasOwn(limitNames, kind)) return limitNames[kind as keyof typeof limitNames];
    throw notFound(`limit ${JSON.stringify(kind)}: there are ${Object.keys(limitNames).join(' and ')}`);
  };
  routes
    .route('/user-limits/:name/:kind')
    .put(async (request, response) => {
      const { name, kind } = request.params;
      const { value } = bodyAs(limitBody, request.body);
      // Less than nothing stands for none, as in RabbitMQ.
      await accounts.setLimits(find(name).name, { [limitOf(kind)]: value < 0 ? undefined : value });
      response.status(204).end();
    })
    .delete(async (request, response) => {
      const { name, kind } = request.params;
      await accounts.setLimits(find(name).name, { [limitOf(kind)]: undefined });
      response.status(204).end();
    });

  routes.get('/permissions', (_request, response) => void response.json(accounts.all().flatMap(permissionViews)));
  routes
    .route('/permissions/:vhost/:name')
    .get((request, response) => {
      const [view] = permissionViews(find(request.params.name));
      if (!view) throw notFound(`permissions of ${JSON.stringify(request.params.name)}`);
      response.json(view);
    })
    .put(async (request, response) => {
      const { name } = request.params;
      const isNew = find(name).permission === undefined;
      await accounts.setPermission(name, bodyAs(permissionBody, request.body));
      response.status(isNew ? 201 : 204).end();
    })
    .delete(async (request, response) => {
      await accounts.setPermission(find(request.params.name).name, undefined);
      response.status(204).end();
    });

  routes.get(
    '/topic-permissions',
    (_request, response) => void response.json(accounts.all().flatMap(account => topicViews(account))),
  );
  routes
    .route('/topic-permissions/:vhost/:name')
    .get((request, response) => void response.json(topicViews(find(request.params.name))))
    .put(async (request, response) => {
      const topic = bodyAs(topicBody, request.body);
      const { name, topics } = find(request.params.name);
      const others = topics.filter(({ exchange }) => exchange !== topic.exchange);
      await accounts.setTopics(name, [...others, topic]);
      response.status(others.length === topics.length ? 201 : 204).end();
    })
    .delete(async (request, response) => {
      await accounts.setTopics(find(request.params.name).name, []);
      response.status(204).end();
    });
  routes
    .route('/topic-permissions/:vhost/:name/:exchange')
    .get((request, response) => void response.json(topicViews(find(request.params.name), request.params.exchange)))
    .delete(async (request, response) => {
      const { name, topics } = find(request.params.name);
      const left = topics.filter(({ exchange }) => exchange !== request.params.exchange);
      await accounts.setTopics(name, left);
      response.status(204).end();
    });
  return routes;
}
