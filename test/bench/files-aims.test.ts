import { expect, test } from 'vitest';
import { judge } from '../../bench/parts/files/aims.ts';
import type { Cell } from '../../bench/parts/files/matches.ts';

function cell(workload: string, key: string, seconds: number, others: Partial<Cell> = {}): Cell {
  const none = { receiverCpu: 0, receiverRss: 0, sourcesCpu: 0, sourcesRss: 0, carriersCpu: 0 };
  return {
    workload,
    key,
    name: key,
    bytes: 1,
    files: 1,
    seconds,
    syncedSeconds: seconds,
    spread: 1,
    ...none,
    ...others,
  };
}

test('direct transfers are held against raw grpc-js over mutual TLS at the same frame size', () => {
  const cells = [cell('direct', 'warren', 2), cell('direct', 'grpc-tls-64', 9), cell('direct', 'grpc-plain-256', 0.1)];
  expect(judge([...cells, cell('direct', 'grpc-tls-256', 1)], 256)).toEqual([
    { aim: 'direct / raw grpc-js over mutual TLS', value: 0.5, needed: 0.8 },
  ]);
});

test('a relayed transfer is held against the better message size of the same broker', () => {
  const cells = [
    cell('relayed', 'warren-embedded', 4),
    cell('relayed', 'bus-embedded-64', 3),
    cell('relayed', 'bus-embedded-124', 2),
    cell('relayed', 'bus-rabbitmq-64', 1),
  ];
  expect(judge(cells, 256)).toEqual([{ aim: 'relayed over embedded / the raw bus', value: 0.5, needed: 0.7 }]);
});

test('who failed is compared with nobody', () => {
  const cells = [cell('direct', 'warren', 1), cell('direct', 'rsync', 1, { problem: 'ended with 1' })];
  expect(judge(cells, 256)).toEqual([]);
});
