import { Router } from 'express';
import { z } from 'zod';
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
const userBody = z.strictObject({ password: z.string().min(1).max(1_024).optional(), tags: tagList.default([]) });
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
      await accounts.put(name, bodyAs(userBody, request.body));
      response.status(isNew ? 201 : 204).end();
    })
    .delete(async (request, response) => {
      find(request.params.name);
      await accounts.delete(request.params.name);
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
