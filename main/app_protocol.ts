/**
 * app://acrn/: the page's own origin in Electron, with the same policy as over HTTP.
 *
 * @spec   Electron's security checklist: a custom protocol, not file://
 * @cover  #Y GET of the page's files; anything else is refused without touching the disk
 * @differ none
 */
import { newNonce, policyHeaders, readPageFiles, withNonce } from './web_policy.ts';

export const APP_SCHEME = 'app';
export const APP_ORIGIN = 'app://acrn';
export const APP_URL = `${APP_ORIGIN}/index.html`;

/** The handler for protocol.handle. */
export function appProtocol(pageDir: string): (request: { url: string; method: string }) => Response {
  const files = readPageFiles(pageDir);
  return ({ url, method }) => {
    const nonce = newNonce();
    const headers = policyHeaders(nonce, []);
    const { host, pathname } = new URL(url);
    if (method !== 'GET') return new Response('Only GET is served.', { status: 405, headers });
    const file = host === 'acrn' ? files.get(pathname) : undefined;
    if (file === undefined) return new Response('There is no such file.', { status: 404, headers });
    return new Response(new Uint8Array(withNonce(file, nonce)), { headers: { ...headers, 'Content-Type': file.type } });
  };
}

/** Whether a frame with this address is the page. */
export function isAppUrl(url: string): boolean {
  try {
    const { protocol, host } = new URL(url);
    return `${protocol}//${host}` === APP_ORIGIN;
  } catch {
    return false;
  }
}
