import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig } from 'vitest/config'

/** Clusters and sentinels of their own take their time: `npm run test:cluster`. */
const OWN_SERVERS = ['test/cluster/**', 'test/sentinel/**']

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...(process.env.TEST_REDIS_KIND === 'cluster' ? [] : OWN_SERVERS)],
    globalSetup: ['test/support/global-setup.ts'],
    // Each file talks to its own key prefix on one shared Redis; two files at a time suit two cores.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // A second try hides nothing: `.ci/run` lists whoever needed it, and that is a fault to be found.
    retry: process.env.CI ? 1 : 0,
    reporters: ['default', fileURLToPath(new URL('test/support/again-reporter.ts', import.meta.url))],
  },
})
