#!/usr/bin/env node
import { runInNode24 } from './node24.mjs';

runInNode24(new URL('../acrnctl.ts', import.meta.url), false);
