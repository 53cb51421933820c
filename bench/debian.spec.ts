import { expect, test } from 'vitest';
import { rsaTimes } from './debian.ts';

test('what openssl speed tells of RSA becomes the seconds of 100 signatures and 100 verifications', () => {
  const text = 'BENCH openssl_sha256 0.5\r\n+DTP:2048:private:rsa:2\r\n+F2:2:2048:50.000000:2000.000000\r\n+F2:3:4096:8:400\r\n';
  expect([...rsaTimes(text)]).toEqual([
    ['openssl_rsa2048_sign100', 2], ['openssl_rsa2048_verify100', 0.05], ['openssl_rsa4096_sign100', 12.5], ['openssl_rsa4096_verify100', 0.25],
  ]);
});

test('output without such lines has no RSA rows', () => {
  expect(rsaTimes('+F:25:sha256:1652587846.81\n').size).toBe(0);
});
