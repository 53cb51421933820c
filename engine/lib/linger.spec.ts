import { expect, test } from 'vitest';
import { Linger } from './linger.ts';

test('a wait within the limit makes a thread look on', () => {
  const linger = new Linger(200_000);
  expect(linger.ns).toBe(0);
  linger.slept(150_000, 150_000);
  expect(linger.ns).toBe(200_000);
});

test('a thread whose waits are long soon does not look on at all', () => {
  const linger = new Linger(200_000);
  linger.slept(150_000, 150_000);
  linger.slept(4_000_000, 3_800_000);
  expect(linger.ns).toBe(100_000);
  for (let i = 0; i < 5; i += 1) linger.slept(4_000_000, 3_900_000);
  expect(linger.ns).toBe(0);
});

test('work that comes as soon as the thread sleeps was held up by its looking: it rests, then tries again', () => {
  const linger = new Linger(200_000);
  linger.slept(150_000, 150_000);
  linger.slept(230_000, 30_000);
  for (let i = 0; i < 256; i += 1) {
    expect(linger.ns).toBe(0);
    linger.slept(150_000, 150_000);
  }
  linger.slept(150_000, 150_000);
  expect(linger.ns).toBe(200_000);
});
