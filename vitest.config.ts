import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    globalSetup: ['test/scratch.ts'],
    projects: [
      { test: { name: 'unit', testTimeout: 60_000, include: ['engine/**/*.spec.ts', 'main/**/*.spec.ts', 'preload/**/*.spec.ts', 'renderer/**/*.spec.{ts,tsx}', 'scripts/**/*.spec.ts', 'bench/**/*.spec.ts', 'test/property/**/*.spec.ts', 'test/*.spec.ts'] } },
      { test: { name: 'differential', include: ['test/differential/**/*.spec.ts'], testTimeout: 600_000 } },
      { test: { name: 'guest', include: ['test/guest/**/*.spec.ts'], testTimeout: 300_000, hookTimeout: 300_000, fileParallelism: false } },
      { test: { name: 'e2e', include: ['test/e2e/**/*.spec.ts'], testTimeout: 180_000, hookTimeout: 180_000, fileParallelism: false } },
    ],
  },
});
