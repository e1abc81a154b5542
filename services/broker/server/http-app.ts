import express, { type Express } from 'express';
import { accountRoutes } from './http-accounts.ts';
import { accountOf, allow } from './http-auth.ts';
import { brokerMetrics } from './http-metrics.ts';
import { checkVhost, notFound, tellProblem } from './http-problem.ts';
import type { Rates } from './http-rates.ts';
import { connectionName, connectionView, exchangeView, overview, queueView, userView } from './http-views.ts';
import type { BrokerServer } from './server.ts';

const bodyLimit = 64 * 1024;

/**
 * The broker's HTTP API: paths and JSON of RabbitMQ's management plugin, so that one client serves both, as far as
 * Warren asks. `/livez` and `/metrics` are open to whoever reaches the port; they name nobody and nothing.
 * @param amqp where the broker listens, `host:port`
 */
export function createHttpApp(server: BrokerServer, rates: Rates, amqp: string): Express {
  const { broker, accounts } = server;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  const metrics = brokerMetrics(server);
  const mayLook = allow(accounts, 'monitoring');
  const mayChange = allow(accounts, 'administrator');
  /** What a queue's exclusive owner is compared with: nobody. */
  const operator = {};
  const connections = () => [...server.connections()].filter(({ isRunning }) => isRunning);

  app.get('/livez', (_request, response) => void response.type('text').send('alive\n'));
  app.get('/metrics', async (_request, response) => {
    response.type(metrics.contentType).send(await metrics.metrics());
  });

  const api = express.Router();
  api.param('vhost', checkVhost);
  api.get('/overview', mayLook, (_request, response) => void response.json(overview(server, rates)));
  api.get('/whoami', mayLook, (_request, response) => void response.json(userView(accountOf(response))));
  const allQueues = (): object[] => [...broker.queues()].map(queue => queueView(queue, rates));
  api.get('/queues', mayLook, (_request, response) => void response.json(allQueues()));
  api.get('/queues/:vhost', mayLook, (_request, response) => void response.json(allQueues()));
  api.get('/queues/:vhost/:name', mayLook, (request, response) => {
    const found = broker.findQueue(String(request.params.name));
    if (!found) throw notFound(`queue ${JSON.stringify(request.params.name)}`);
    response.json(queueView(found, rates));
  });
  api.delete('/queues/:vhost/:name', mayChange, (request, response) => {
    const name = String(request.params.name);
    if (!broker.findQueue(name)) throw notFound(`queue ${JSON.stringify(name)}`);
    broker.deleteQueue(name, operator, {
      ifUnused: request.query['if-unused'] === 'true',
      ifEmpty: request.query['if-empty'] === 'true',
    });
    broker.flush();
    response.status(204).end();
  });
  api.get('/exchanges/:vhost', mayLook, (_request, response) => {
    response.json([...broker.exchanges()].map(exchangeView));
  });
  api.delete('/exchanges/:vhost/:name', mayChange, (request, response) => {
    const name = String(request.params.name);
    if (!broker.findExchange(name)) throw notFound(`exchange ${JSON.stringify(name)}`);
    broker.deleteExchange(name, { ifUnused: request.query['if-unused'] === 'true' });
    broker.flush();
    response.status(204).end();
  });
  api.get('/connections', mayLook, (_request, response) => {
    response.json(connections().map(connection => connectionView(connection, amqp)));
  });
  const ofUser = (name: unknown) => connections().filter(({ user }) => user === name);
  api.get('/connections/username/:name', mayLook, (request, response) => {
    response.json(ofUser(request.params.name).map(connection => connectionView(connection, amqp)));
  });
  api.delete('/connections/username/:name', mayChange, (request, response) => {
    const reason = request.get('x-reason')?.slice(0, 100) ?? 'Closed via management API';
    for (const connection of ofUser(request.params.name)) connection.close(reason);
    response.status(204).end();
  });
  api.delete('/connections/:name', mayChange, (request, response) => {
    const found = connections().find(each => connectionName(each, amqp) === request.params.name);
    if (!found) throw notFound(`connection ${JSON.stringify(request.params.name)}`);
    found.close(request.get('x-reason')?.slice(0, 100) ?? 'Closed via management API');
    response.status(204).end();
  });
  api.use(mayChange, express.json({ limit: bodyLimit, type: () => true }), accountRoutes(accounts));

  app.use('/api', api);
  app.use((request, _response, next) => next(notFound(`${request.method} ${request.path}`)));
  app.use(tellProblem);
  return app;
}
