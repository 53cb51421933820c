import '@mantine/core/styles.css';
import '@xterm/xterm/css/xterm.css';
import './app.css';
import { MantineProvider } from '@mantine/core';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import { adaptToPolicy, cspNonce } from './csp.ts';
import { EngineStore, StoreProvider } from './state/engine_store.ts';
import { theme } from './theme.ts';
import { openTransport } from './transport.ts';

const nonce = cspNonce();
adaptToPolicy(nonce);
const store = new EngineStore(openTransport());
const root = document.getElementById('root');
if (root === null) throw new Error('the page has no root');
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={() => nonce}>
      <StoreProvider value={store}><App /></StoreProvider>
    </MantineProvider>
  </StrictMode>,
);
