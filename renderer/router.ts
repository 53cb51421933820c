/** Where the page is: the address after '#'. */
import { useSyncExternalStore } from 'react';

export type Route =
  | { view: 'vms' }
  | { view: 'vm'; name: string }
  | { view: 'new' }
  | { view: 'edit'; name: string }
  | { view: 'consoles'; name?: string; consoleId?: string }
  | { view: 'nuc' };

export function parseRoute(hash: string): Route {
  const [view = '', first, second] = hash.replace(/^#\/?/, '').split('/').map(decode);
  switch (view) {
    case 'vms': return first === undefined || first === '' ? { view: 'vms' } : { view: 'vm', name: first };
    case 'new': return { view: 'new' };
    case 'edit': return first === undefined || first === '' ? { view: 'vms' } : { view: 'edit', name: first };
    case 'consoles': return { view: 'consoles', name: first, consoleId: second };
    case 'nuc': return { view: 'nuc' };
    default: return { view: 'vms' };
  }
}

export function hashOf(route: Route): string {
  switch (route.view) {
    case 'vm': return `#/vms/${encodeURIComponent(route.name)}`;
    case 'edit': return `#/edit/${encodeURIComponent(route.name)}`;
    case 'consoles': return ['#/consoles', route.name, route.consoleId].filter((part) => part !== undefined).map((part, at) => (at === 0 ? part : encodeURIComponent(part))).join('/');
    default: return `#/${route.view}`;
  }
}

export function go(route: Route): void { location.hash = hashOf(route); }

export function useRoute(): Route {
  const hash = useSyncExternalStore(
    (listener) => { addEventListener('hashchange', listener); return () => removeEventListener('hashchange', listener); },
    () => location.hash,
  );
  return parseRoute(hash);
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
