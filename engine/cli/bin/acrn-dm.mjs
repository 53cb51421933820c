#!/usr/bin/env node
import { runInNode24 } from './node24.mjs';

runInNode24(new URL('../acrn_dm.ts', import.meta.url), true);
