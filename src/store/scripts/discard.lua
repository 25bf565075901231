#!lua flags=allow-oom
--[[
  discard.lua: drop parked SETs for good: entry, index and reason in one step, each counted by reason. A producer that
  repeats a discarded SET is told `duplicate`, as for one that was acknowledged.

  KEYS[1]  stream  log    KEYS[2]  hash  ids    KEYS[3]  hash  why    KEYS[4]  hash  counts
  KEYS[5], KEYS[6]  sets  done:0, done:1
  ARGV[1]  'all' and ARGV[2] how many at the most, or 'jtis' and ARGV[2] how many jtis, then these; then
           reason (operator, retention), dedupeWindowMs
  Returns  {discarded, still parked}
]]
--#include lib/pending.lua

local log, ids, why = KEYS[1], KEYS[2], KEYS[3]
local reason, windowMs = ARGV[#ARGV - 1], tonumber(ARGV[#ARGV])
-- Where the group was lost, what is parked is found again by the next poll.
if not pendingCounts(log) then return { 0, call('HLEN', why) } end
local now = clock()
local counts = openCounts(KEYS[4], { 'bytes', 'discarded:' .. reason, 'doneSince', 'doneTurn' })
local doneKey = turnDone(counts, { KEYS[5], KEYS[6] }, now, windowMs)
local entries, jtis, done, bytes = {}, {}, {}, 0
for _, item in ipairs(parkedChoice(log, ids, why)) do
  local ms, seq = parseId(item.id)
  entries[#entries + 1], jtis[#jtis + 1] = item.id, item.jti
  bytes = bytes + bytesOf(seq)
  if isRepeatable(seq) then
    if isFromEarlierWindow(counts, ms) then done[#done + 1] = item.jti end
    done[#done + 1] = item.jti .. DISCARDED
  end
end
callWith(entries, 'XACK', log, GROUP)
callWith(entries, 'XDEL', log)
callWith(jtis, 'HDEL', ids)
callWith(jtis, 'HDEL', why)
rememberDone(counts, doneKey, done, windowMs)
add(counts, 'discarded:' .. reason, #entries)
setCount(counts, 'bytes', math.max(0, numberOf(counts, 'bytes') - bytes))
saveCounts(counts)
return { #entries, pendingCounts(log).parked }
