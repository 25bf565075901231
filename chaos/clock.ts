/**
 * Loaded into a transmitter before anything else: its wall clock jumps at SIGUSR2, an hour ahead, an hour back, and right
 * again, as on a host whose clock is set.
 */
const JUMPS_MS = [3_600_000, -3_600_000, 0]
const RealDate = Date
let jumps = 0
let offsetMs = 0

process.on('SIGUSR2', () => {
  offsetMs = JUMPS_MS[jumps++ % JUMPS_MS.length] as number
})

const now = () => RealDate.now() + offsetMs

globalThis.Date = class extends RealDate {
  constructor(...args: []) {
    if (args.length === 0) super(now())
    else super(...args)
  }

  static override now(): number {
    return now()
  }
} as DateConstructor
