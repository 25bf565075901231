/**
 * Loaded into a process whose memory is watched (with `--expose-gc`): collects all garbage every now and then. Left to
 * itself Node.js lets tens of MiB of it pile up for a minute or more, which in a short run looks like a leak.
 */
const EVERY_MS = 2000

setInterval(() => globalThis.gc!(), EVERY_MS).unref()
