/** Lists the tests that passed only at their second try, and why the first failed, so that nobody takes them for sound. */
import type { Reporter, TestCase } from 'vitest/node'

interface Failure {
  readonly message: string
  readonly stack?: string | undefined
  readonly cause?: unknown
}

export default class AgainReporter implements Reporter {
  onTestCaseResult(test: TestCase): void {
    if (!test.diagnostic()?.flaky) return
    const why = test.result().errors?.map(describe) ?? []
    console.log(`needed another try: ${[`${test.module.relativeModuleId} > ${test.fullName}`, ...why].join('\n')}`)
  }
}

function describe({ message, stack, cause }: Failure): string {
  const own = `${message}\n${stack ?? ''}`
  return cause === undefined ? own : `${own}\ncaused by: ${describe(cause as Failure)}`
}
