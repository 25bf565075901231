/** The load generator: its own process, so that its work is not counted as the server's. */
import { answerCalls } from '../harness/child.ts'
import { ask } from './ask.ts'
import { drain } from './drain.ts'
import { hold, letGo } from './hold.ts'
import { mixed } from './mixed.ts'
import { publish } from './publish.ts'
import { wake } from './wake.ts'
import { take, walk } from './walk.ts'

answerCalls({ ask, drain, hold, letGo, mixed, publish, take, wake, walk })
