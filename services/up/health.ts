import { get } from 'node:http';
import type { Config } from '../config/config.ts';
import type { CommandName } from '../config/setting.ts';
import { dialable } from '../lib/dialable.ts';
import { Failure, messageOf } from '../lib/failure.ts';

const patienceMs = 3_000;

/** Where a service with these settings says whether it is well. @throws Failure HEALTH when it says so nowhere */
export function healthUrls(command: CommandName, { proxy, worker, demo, broker, directory, naming }: Config): string[] {
  const url = (host: string, port: number, path: string): string => {
    if (port === 0)
      throw new Failure('HEALTH', `warren ${command} has any free port: give it a fixed one to be asked at`);
    return `http://${dialable(host)}:${port}${path}`;
  };
  switch (command) {
    case 'up':
    case 'proxy':
      return [url(proxy.adminHost, proxy.adminPort, '/readyz')];
    case 'worker':
      if (worker.healthPort === undefined)
        throw new Failure('HEALTH', 'the worker tells nobody whether it is well: give it worker.health_port');
      return [url(worker.healthHost, worker.healthPort, '/readyz')];
    case 'demo':
      return demo.ports.map(port => url(demo.host, port, '/healthz'));
    case 'directory':
      return [url(directory.host, directory.port, '/livez')];
    case 'naming':
      return [url(naming.host, naming.port, '/livez')];
    case 'broker':
      return [url(broker.httpHost, broker.httpPort, '/livez')];
    default:
      throw new Failure('HEALTH', `warren ${command} is no service that runs`);
  }
}

/** @returns what it answers, one line @throws Failure HEALTH when it is not well, with what it says, or does not answer */
export function askHealth(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown): void => reject(new Failure('HEALTH', `${url}: ${why}`, { cause }));
    get(url, { agent: false, signal: AbortSignal.timeout(patienceMs) }, response => {
      let body = '';
      response.setEncoding('utf8').on('data', text => {
        body += text;
      });
      response.on('error', error => fail(messageOf(error), error));
      response.on('end', () => {
        const line = body.trim().replaceAll(/\s+/g, ' ').slice(0, 200);
        if (response.statusCode === 200) resolve(line);
        else fail(line || `answers ${response.statusCode}`);
      });
    }).on('error', error => fail(messageOf(error), error));
  });
}
