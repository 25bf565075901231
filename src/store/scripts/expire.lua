#!lua flags=allow-oom
--[[
  expire.lua: one step of parking what is unacknowledged and older than a moment (reason expired), or all of it
  (reason disabled).

  KEYS[1]  stream  log    KEYS[2]  hash  ids    KEYS[3]  hash  why    KEYS[4]  hash  counts    KEYS[5]  hash  receiver
  ARGV[1]  reason    ARGV[2]  age in ms: older SETs are parked    ARGV[3]  SETs at the most
  Returns  {parked, 1 if there may be more}
]]
--#include lib/pending.lua

local reason = ARGV[1]
local status = call('HGET', KEYS[5], 'status')
-- A receiver that was enabled again meanwhile keeps what it holds.
if not status or (reason == 'disabled' and status ~= 'disabled') then return { 0, 0 } end
local now = clock()
local counts = openCounts(KEYS[4], { 'parked:' .. reason, 'setMax', 'filter' })
local parked, more = expireStep(KEYS[1], KEYS[2], KEYS[3], counts, reason, now - tonumber(ARGV[2]), tonumber(ARGV[3]), now)
saveCounts(counts)
return { parked, more and 1 or 0 }
