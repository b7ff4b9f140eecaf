import { defineConfig } from 'vitest/config';

// Relaxed SIMD is behind a flag in Node 20 and on, without one, in later ones, which refuse the flag.
const relaxed = process.versions.node.startsWith('20.') ? ['--experimental-wasm-relaxed-simd'] : [];

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    // All cores: no test is about time.
    maxWorkers: '100%',
    execArgv: relaxed,
    testTimeout: 60_000,
  },
});
