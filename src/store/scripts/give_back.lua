#!lua flags=allow-oom
--[[
  give_back.lua: a response that could not be written whole makes its SETs owed again at once and takes the attempt
  back. Only if the SET is still in flight by that very attempt, and once per SET and R, so that a client that always
  hangs up uses its attempts up all the same.

  KEYS[1]  stream  log    KEYS[2]  hash  given (entry id -> ms; forgets itself after R)
  KEYS[3]  hash  receiver    KEYS[4]  channel  wake    KEYS[5]  hash  counts    KEYS[6]  hash  ids
  ARGV[1]  redeliverAfterMs    ARGV[2+] per SET: jti, attempt
  Returns  how many were given back
]]
--#include lib/pending.lua

local log, given = KEYS[1], KEYS[2]
local redeliverAfterMs = tonumber(ARGV[1])
local now, back = clock(), 0
if call('HLEN', given) > 10000 then call('UNLINK', given) end
for i = 2, #ARGV, 2 do
  local id, attempt = call('HGET', KEYS[6], ARGV[i]), tonumber(ARGV[i + 1])
  local pending = id and redis.pcall('XPENDING', log, GROUP, id, id, 1) or {}
  if groupIsMissing(pending) then return 0 end
  local at = tonumber(call('HGET', given, id or '') or 0)
  if pending[1] and pending[1][2] == INFLIGHT and tonumber(pending[1][4]) == attempt
    and now - at >= redeliverAfterMs then
    call('XCLAIM', log, GROUP, DUE, 0, id, 'RETRYCOUNT', attempt - 1, 'JUSTID')
    call('HSET', given, id, integer(now))
    back = back + 1
  end
end
if back > 0 then
  call('PEXPIRE', given, integer(math.max(redeliverAfterMs, 1000)))
  call('HINCRBY', KEYS[5], 'givenBack', back)
  if call('HGET', KEYS[3], 'status') == 'enabled' then call('SPUBLISH', KEYS[4], '') end
end
return back
