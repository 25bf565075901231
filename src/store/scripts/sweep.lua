#!lua flags=allow-oom
--[[
  sweep.lua: one step of the walk over what a receiver has in flight. What has been there for R is owed again, or
  parked once it is out of attempts and old enough. A step is bounded, and each leaves a complete state: a walk that
  stops in the middle loses nothing, and the next begins anew.

  KEYS[1]  stream  log    KEYS[2]  hash  why    KEYS[3]  hash  counts    KEYS[4]  hash  receiver    KEYS[5]  channel  wake
  ARGV[1]  cursor, '-' to begin          ARGV[2]  entries to look at
  ARGV[3]  redeliverAfterMs   ARGV[4]  maxAttempts   ARGV[5]  parkAfterMs
  ARGV[6]  earliest lapse seen so far in this walk, ms from now, or -1
  Returns  {cursor ('-' at the end), made due, parked, earliest so far or -1,
            at the end: ms until the next walk, -1 when nothing is in flight}
]]
--#include lib/pending.lua

local log, why, receiver, channel = KEYS[1], KEYS[2], KEYS[4], KEYS[5]
local limits = {
  redeliverAfterMs = tonumber(ARGV[3]),
  maxAttempts = tonumber(ARGV[4]),
  parkAfterMs = tonumber(ARGV[5]),
}
local status = call('HGET', receiver, 'status')
if not status then return { '-', 0, 0, -1, -1 } end
local now = clock()
local counts = openCounts(KEYS[3], { 'parked:attempts', 'sweepAt', 'filter' })
local step = lapse(log, why, ARGV[1], tonumber(ARGV[2]), now, limits)
if not step then
  ensureGroup(log, counts)
  saveCounts(counts)
  return { '-', 0, 0, -1, -1 }
end
add(counts, 'parked:attempts', step.parked)
if step.due > 0 and status == 'enabled' then call('SPUBLISH', channel, '') end

local earliest = tonumber(ARGV[6])
if step.earliest and (earliest < 0 or step.earliest < earliest) then earliest = step.earliest end
local nextInMs = -1
if step.cursor == '-' then
  if pendingCounts(log).inflight > 0 then
    nextInMs = earliest >= 0 and earliest or limits.redeliverAfterMs
    setCount(counts, 'sweepAt', now + nextInMs)
  else
    setCount(counts, 'sweepAt', 0)
  end
end
saveCounts(counts)
return { step.cursor, step.due, step.parked, earliest, nextInMs }
