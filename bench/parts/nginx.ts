import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Child, Children } from './children.ts';

/** "nginx/1.22.1", or undefined where it is not installed. */
export function nginxVersion(): string | undefined {
  return /nginx\/\S+/.exec(spawnSync('nginx', ['-v'], { encoding: 'utf8' }).stderr ?? '')?.[0];
}

/** One nginx with two servers: `pass` asks the backend each time, `cache` has a store of its own. */
export function startNginx(
  children: Children,
  home: string,
  ports: { readonly pass: number; readonly cache: number; readonly backend: number },
): Child {
  for (const folder of ['logs', 'temp', 'store']) mkdirSync(join(home, folder), { recursive: true });
  const file = join(home, 'nginx.conf');
  writeFileSync(file, configuration(home, ports));
  return children.start('nginx', 'nginx', ['-p', home, '-c', file, '-e', join(home, 'logs/error.log')]);
}

/** Forwards the same fields as the others, and never closes a connection because it was used often. */
function configuration(home: string, { pass, cache, backend }: Record<'pass' | 'cache' | 'backend', number>): string {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    kind => `  ${kind}_temp_path ${home}/temp/${kind};`,
  );
  const forward = `
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header Upgrade $http_upgrade;
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
      client_max_body_size 0;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header Via "1.1 nginx";
      add_header Via "1.1 nginx";`;
  return `daemon off;
worker_processes 2;
pid ${home}/nginx.pid;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 2048; }
http {
  access_log off;
  keepalive_requests 1000000000;
${temp.join('\n')}
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  proxy_cache_path ${home}/store keys_zone=store:10m max_size=64m;
  upstream backend {
    server 127.0.0.1:${backend};
    keepalive 256;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${pass};
    location / {${forward}
    }
  }
  server {
    listen 127.0.0.1:${cache};
    location / {${forward}
      proxy_cache store;
      add_header Cache-Status "nginx; $upstream_cache_status";
    }
  }
}
`;
}
