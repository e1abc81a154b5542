import type { Reporter } from 'vitest/node';
import type { BrokersHere } from './brokers-here.ts';

/** Says at the end of a run, in plain words, which brokers the integration tests really ran on, and which not. */
export function brokerReporter({ projects, missing }: BrokersHere): Reporter {
  return {
    onTestRunEnd(modules) {
      const ran = new Map<string, string>();
      for (const { project } of modules) {
        const here = projects.find(({ name }) => name === project.name);
        const { broker } = project.getProvidedContext();
        if (here !== undefined && broker !== undefined)
          ran.set(
            project.name,
            `${broker.kind === 'embedded' ? 'the embedded broker' : 'RabbitMQ'} ${broker.version} (${here.from})`,
          );
      }
      if (ran.size === 0) return;
      const lack = missing.length > 0 ? `; could not have: ${missing.join(', ')}` : '';
      console.log(`integration tests ran on: ${[...ran.values()].join(', ')}${lack}\n`);
    },
  };
}
