/**
 * What the application's page may do, whoever serves it: policy headers, the page's nonce, the table of its files.
 *
 * @spec   CSP Level 3; Electron's security checklist
 * @cover  #Y default-src 'none'; scripts from own files only; style elements by nonce
 * @differ style-src carries a nonce because the style library writes style elements at run time.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, posix } from 'node:path';

const NONCE_PLACEHOLDER = '__ACRN_CSP_NONCE__';
const CONTENT_TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.json': 'application/json; charset=utf-8',
};

export function newNonce(): string { return randomBytes(18).toString('base64'); }

/** @param connect what connect-src allows besides nothing, e.g. the WebSocket's address */
export function policyHeaders(nonce: string, connect: string[]): Record<string, string> {
  const csp = [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self'",
    "font-src 'self'",
    `connect-src ${connect.length > 0 ? connect.join(' ') : "'none'"}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "object-src 'none'",
  ].join('; ');
  return {
    'Content-Security-Policy': csp,
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), microphone=(), geolocation=(), usb=(), serial=(), hid=(), payment=()',
  };
}

export interface PageFile {
  type: string;
  bytes: Buffer;
  /** Its name carries a hash of its content. */
  immutable: boolean;
}

/**
 * Every file of the built page by its URL path. A request is looked up here and never becomes a path on disk, so no
 * request can leave the folder.
 */
export function readPageFiles(folder: string): Map<string, PageFile> {
  const files = new Map<string, PageFile>();
  const walk = (relative: string): void => {
    for (const entry of readdirSync(join(folder, relative))) {
      const path = posix.join(relative, entry);
      if (statSync(join(folder, path)).isDirectory()) { walk(path); continue; }
      const type = CONTENT_TYPES[posix.extname(path)];
      if (type === undefined) continue; // source maps and the like are not part of the page
      files.set(`/${path}`, { type, bytes: readFileSync(join(folder, path)), immutable: path.startsWith('assets/') });
    }
  };
  walk('');
  const index = files.get('/index.html');
  if (index !== undefined) files.set('/', index);
  return files;
}

/** The page with this response's nonce in it. */
export function withNonce(file: PageFile, nonce: string): Buffer {
  return file.type.startsWith('text/html') ? Buffer.from(file.bytes.toString('utf8').replaceAll(NONCE_PLACEHOLDER, nonce)) : file.bytes;
}
