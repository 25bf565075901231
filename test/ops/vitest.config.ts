/** What needs Prometheus itself, apart from the tests that run anywhere: test/ops/check.sh runs it. */
import { defineConfig, mergeConfig } from 'vitest/config'
import base from '../../vitest.config.ts'

export default mergeConfig(
  { ...base, test: { ...base.test, include: [] } },
  defineConfig({ test: { include: ['test/ops/**/*.live.ts'], testTimeout: 90_000 } }),
)
