#!/usr/bin/env node
/** A worker process: the same as `setstream serve --roles workers`. */
import { runServe } from '../src/serve.ts'

await runServe(['workers'])
