import { defineConfig } from 'vitest/config'
import everyday from './vitest.config.ts'

/** The console in a real browser: `npm run test:console`. Longer than everyday tests, and in need of Chromium. */
export default defineConfig({
  test: { ...everyday.test, include: ['test/console/**/*.browser.ts'], maxWorkers: 1, testTimeout: 60_000 },
})
