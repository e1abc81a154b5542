import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { brokerReporter } from './test/support/broker-reporter.ts';
import { brokersHere } from './test/support/brokers-here.ts';

const here = await brokersHere(process.env);
// Minutes each; `npm run test:long` runs them too.
const long = process.env.WARREN_LONG ? [] : ['test/**/*.long.test.ts'];
const reporter = brokerReporter(here);
const integration = ['test/**/*.broker.test.ts'];
// What is beyond the broker, and takes long: on the embedded one, and by `npm run test:long` on all.
const once = process.env.WARREN_LONG
  ? []
  : [
      'test/**/*.once.broker.test.ts',
      'test/directory/{revoking,announcements}.*',
      'test/member/daemon.*',
      'test/up/{members,status}.*',
      'test/proxy/{streams,websocket}.*',
    ];
// What is beyond the broker, and yet worth a real one: on the embedded one and the newest RabbitMQ that is here; by `test:long` on all.
const beyond = ['test/{chat,chord,directory,member,naming}/**', 'test/up/up.*', 'test/proxy/faults.*'];
const older =
  !process.env.WARREN_LONG && here.projects.some(({ name, why }) => name === 'rabbitmq-4.0' && why === undefined)
    ? beyond
    : [];
const acceptance = ['test/compose/**/*.test.ts'];
// Two cores. Files, not tests within a file, run side by side.
const common = { maxWorkers: 2, testTimeout: 30_000, hookTimeout: 60_000 };

export default defineConfig({
  // As a plugin, so that `--reporter` on the command line does not silence it.
  plugins: [
    {
      name: 'brokers',
      configureVitest: ({ vitest: { config } }) => {
        // Called for each project.
        if (!config.reporters.includes(reporter)) config.reporters.push(reporter);
      },
    },
  ],
  test: {
    // No `include` up here, or the tests run once more.
    projects: [
      {
        test: {
          ...common,
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...integration, ...acceptance, ...long],
        },
      },
      ...here.projects.map(({ name, globalSetup, why }) => ({
        test: {
          ...common,
          name,
          include: integration,
          exclude: name === 'embedded' ? [] : name === 'rabbitmq-4.0' ? once : [...once, ...older],
          // After the unit tests, which say what is wrong sooner.
          sequence: { groupOrder: 1 },
          globalSetup: join(import.meta.dirname, 'test/support', globalSetup),
          ...(why === undefined ? {} : { provide: { whyNoBroker: why } }),
        },
      })),
      // Minutes, and the whole machine: only when asked for (`npm run test:compose`), and one file after the other.
      ...(process.env.WARREN_COMPOSE
        ? [
            {
              test: {
                ...common,
                name: 'compose',
                include: acceptance,
                exclude: long,
                fileParallelism: false,
                sequence: { groupOrder: 2 },
              },
            },
          ]
        : []),
    ],
  },
});
