/** Lists the tests that passed only at their second try, and why the first failed, so that nobody takes them for sound. */
import type { Reporter, TestCase } from 'vitest/node'

export default class AgainReporter implements Reporter {
  onTestCaseResult(test: TestCase): void {
    if (!test.diagnostic()?.flaky) return
    const why = test.result().errors?.map(({ message, stack }) => `${message}\n${stack ?? ''}`) ?? []
    console.log(`needed another try: ${[`${test.module.relativeModuleId} > ${test.fullName}`, ...why].join('\n')}`)
  }
}
