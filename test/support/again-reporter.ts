/** Lists the tests that passed only at their second try, so that nobody takes them for sound. */
import type { Reporter, TestCase } from 'vitest/node'

export default class AgainReporter implements Reporter {
  onTestCaseResult(test: TestCase): void {
    if (test.diagnostic()?.flaky) console.log(`needed another try: ${test.module.relativeModuleId} > ${test.fullName}`)
  }
}
