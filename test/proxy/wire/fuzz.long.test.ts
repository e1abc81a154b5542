import { expect, test } from 'vitest';
import { fuzzEdge } from '../../support/fuzz-edge.ts';
import { RawEdge } from '../../support/raw-edge.ts';

const seed = Number(process.env.WARREN_SEED ?? Math.floor(Math.random() * 2 ** 31));

test(`100,000 connections of spoilt requests are answered or closed, and the origin gets what they mean, from seed ${seed}`, async () => {
  await using edge = await new RawEdge().listen();
  const { forwarded, refused } = await fuzzEdge(edge, 100_000, seed);
  expect(forwarded).toBeGreaterThan(500);
  expect(refused).toBeGreaterThan(500);
  await expect.poll(() => edge.connections()).toBe(0);
  expect(edge.isBudgetWhole()).toBe(true);
}, 900_000);
