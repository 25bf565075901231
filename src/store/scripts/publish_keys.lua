#!lua
--[[
  publish_keys.lua: merge what one process knows of its keys into what all have said. A key only moves forward, next
  to current to retired, so a process that has not yet read its files again cannot take a key back.

  KEYS[1]  hash  kid -> record, JSON
  ARGV     kid, state, record, JSON; kid, …
  Returns  how many records changed
]]
--#include lib/base.lua

local RANK = { next = 1, current = 2, retired = 3 }
local changed = 0
for i = 1, #ARGV, 3 do
  local kid, state, record = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local known = call('HGET', KEYS[1], kid)
  local forward
  if known then
    forward = RANK[state] > RANK[cjson.decode(known).state]
  else
    -- A retired key that is not here has left for good: nothing it signed can be delivered any more.
    forward = state ~= 'retired'
  end
  if forward then
    call('HSET', KEYS[1], kid, record)
    changed = changed + 1
  end
end
return changed
