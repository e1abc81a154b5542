import type { TestProject } from 'vitest/node';
import { Failure } from '../../services/lib/failure.ts';
import './provided.ts';

/** Stands where a broker was asked for and there is none: the run fails, with one line. */
export function setup(project: TestProject): never {
  const failure = new Failure('NO_BROKER', project.getProvidedContext().whyNoBroker);
  // The line says it all.
  failure.stack = failure.message;
  throw failure;
}
