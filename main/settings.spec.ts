import fc from 'fast-check';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { browserCommand } from './browser.ts';
import { parseServeArgs } from './serving.ts';
import { FileSettings, nucMemoryMiB, readSettings } from './settings.ts';

let folder: string;
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'settings-')); });
afterEach(() => rmSync(folder, { recursive: true }));

test('without a file the settings are the defaults', () => {
  expect(new FileSettings(join(folder, 'settings.json')).get()).toEqual({});
});

test('a setting is written and read back', () => {
  const settings = new FileSettings(join(folder, 'deep/settings.json'));
  settings.set({ nucMemoryMiB: 1024 });
  expect(nucMemoryMiB(settings)).toBe(1024);
  expect(JSON.parse(readFileSync(settings.path, 'utf8'))).toEqual({ nucMemoryMiB: 1024 });
});

test('a file that is not JSON is set aside, not lost', () => {
  const path = join(folder, 'settings.json');
  writeFileSync(path, '{ broken');
  expect(new FileSettings(path).get()).toEqual({});
  expect(existsSync(path)).toBe(false);
  expect(readFileSync(`${path}.broken`, 'utf8')).toBe('{ broken');
});

test('a wrong field falls back to its default and leaves the others', () => {
  expect(readSettings({ nucMemoryMiB: 'much', imageMirror: 'https://deb.debian.org/debian' })).toEqual({ imageMirror: 'https://deb.debian.org/debian' });
});

test('whatever a file holds, reading it yields settings', () => {
  fc.assert(fc.property(fc.anything(), (input) => { expect(typeof readSettings(input)).toBe('object'); }), { seed: 3 });
});

test('a browser is opened only where there is a screen', () => {
  const has = () => true;
  expect(browserCommand('linux', { DISPLAY: ':0' }, has)).toEqual(['xdg-open']);
  expect(browserCommand('linux', { WAYLAND_DISPLAY: 'wayland-0' }, has)).toEqual(['xdg-open']);
  expect(browserCommand('linux', {}, has)).toBeUndefined();
  expect(browserCommand('linux', { DISPLAY: ':0' }, () => false)).toBeUndefined();
  expect(browserCommand('darwin', { SSH_CONNECTION: '1 2 3 4' }, has)).toBeUndefined();
  expect(browserCommand('darwin', {}, has)).toEqual(['open']);
});

test('serve takes a port from 0 to 65535', () => {
  expect(parseServeArgs([])).toEqual({ port: 0, open: true, help: false });
  expect(parseServeArgs(['--port', '8080', '--no-open'])).toEqual({ port: 8080, open: false, help: false });
  for (const port of ['x', '65536', '-1', '1.5', '']) expect(() => parseServeArgs([`--port=${port}`])).toThrow('--port takes a number');
  expect(() => parseServeArgs(['--nonsense'])).toThrow();
});
