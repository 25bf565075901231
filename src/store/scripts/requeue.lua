#!lua flags=allow-oom
--[[
  requeue.lua: make parked SETs owed again, under the same jti and with a fresh count of attempts.

  KEYS[1]  stream  log    KEYS[2]  hash  ids    KEYS[3]  hash  why    KEYS[4]  hash  counts    KEYS[5]  hash  receiver
  KEYS[6]  channel wake
  ARGV[1]  'all' and ARGV[2] how many at the most, or 'jtis' and ARGV[2] how many jtis, then these
  Returns  {moved, still parked}
]]
--#include lib/pending.lua

local log, ids, why = KEYS[1], KEYS[2], KEYS[3]
-- Where the group was lost, what is parked is found again by the next poll.
if not pendingCounts(log) then return { 0, call('HLEN', why) } end
local entries, jtis = {}, {}
for _, item in ipairs(parkedChoice(log, ids, why)) do
  entries[#entries + 1], jtis[#jtis + 1] = item.id, item.jti
end
claim(log, DUE, entries, 'RETRYCOUNT', 0)
callWith(jtis, 'HDEL', why)
if #entries > 0 then
  call('HINCRBY', KEYS[4], 'requeued', #entries)
  if call('HGET', KEYS[5], 'status') == 'enabled' then call('SPUBLISH', KEYS[6], '') end
end
return { #entries, pendingCounts(log).parked }
