import { describe, expect, test } from 'vitest';
import { RecentFigures } from '../../services/proxy/recent-figures.ts';

describe('the figures of the last ten seconds', () => {
  test('are nothing without requests', () => {
    expect(new RecentFigures(0).read(5_000)).toEqual({ requestsPerSecond: 0, p50Ms: 0, p99Ms: 0, hitRate: 0 });
  });

  test('say rate, percentiles within a tenth, and what came from the cache', () => {
    const figures = new RecentFigures(0);
    for (let at = 0; at < 10_000; at += 10) figures.observe(at < 9_800 ? 5 : 200, at % 40 === 0, at);
    const { requestsPerSecond, p50Ms, p99Ms, hitRate } = figures.read(9_999);
    expect(requestsPerSecond).toBeCloseTo(100, 0);
    expect(p50Ms / 5).toBeGreaterThanOrEqual(1);
    expect(p50Ms / 5).toBeLessThan(1.1);
    expect(p99Ms / 200).toBeGreaterThanOrEqual(1);
    expect(p99Ms / 200).toBeLessThan(1.1);
    expect(hitRate).toBe(0.25);
  });

  test('forget what was before', () => {
    const figures = new RecentFigures(0);
    for (let at = 0; at < 1_000; at++) figures.observe(1_000, true, at);
    for (let at = 12_000; at < 13_000; at += 100) figures.observe(1, false, at);
    const { p99Ms, hitRate, requestsPerSecond } = figures.read(13_000);
    expect(p99Ms).toBeLessThan(1.1);
    expect(hitRate).toBe(0);
    expect(requestsPerSecond).toBeCloseTo(10 / 9, 1);
    expect(figures.read(60_000).requestsPerSecond).toBe(0);
  });

  test('take any duration', () => {
    const figures = new RecentFigures(0);
    for (const ms of [0, 1e-9, 1e9]) figures.observe(ms, false, 0);
    expect(figures.read(1).p50Ms).toBe(0.01);
    expect(figures.read(1).p99Ms).toBeGreaterThan(1e6);
  });
});
