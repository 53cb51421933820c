/**
 * The one thing a window gets: the bridge to the services.
 *
 * @spec   Electron's security checklist: context isolation, sandbox, no Electron API in the page
 * @cover  #Y calls, events, what a window has read of its console output
 * @differ none
 */
import { contextBridge, ipcRenderer } from 'electron';
import type { EventName } from '../engine/contract/engine_api.ts';
import type { BridgeAnswer, EngineBridge } from '../engine/contract/bridge.ts';

const EVENTS: readonly string[] = ['nuc.changed', 'vm.changed', 'vm.removed', 'vm.stats', 'console.output'] satisfies EventName[];
const listeners = new Map<string, Set<(event: unknown) => void>>();

ipcRenderer.on('acrn:event', (_event, name: string, data: unknown) => {
  for (const listener of listeners.get(name) ?? []) listener(data);
  if (name === 'console.output') ipcRenderer.send('acrn:read', (data as { data: string }).data.length);
});

const bridge: EngineBridge = {
  call: (name, request) => ipcRenderer.invoke('acrn:call', String(name), request) as Promise<BridgeAnswer>,
  on: (name, listener) => {
    if (!EVENTS.includes(name)) throw new Error(`there is no event ${String(name)}`);
    const known = listeners.get(name) ?? new Set();
    listeners.set(name, known.add(listener));
    return () => { known.delete(listener); };
  },
};
contextBridge.exposeInMainWorld('acrn', bridge);
ipcRenderer.send('acrn:hello');
