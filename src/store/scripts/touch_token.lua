#!lua
--[[
  touch_token.lua: note that a token was used, coarsely. Asked by every process that sees it used, and written by the
  first of them only. A token that was revoked meanwhile does not come back.

  KEYS[1]  hash  token
  ARGV[1]  milliseconds for which a note stays good
  Returns  when the token was last noted, in ms since the epoch; -1 no such token
]]
--#include lib/base.lua

if call('HEXISTS', KEYS[1], 'record') == 0 then return -1 end
local now = clock()
local noted = tonumber(call('HGET', KEYS[1], 'usedAt') or 0)
if now - noted < tonumber(ARGV[1]) then return noted end
call('HSET', KEYS[1], 'usedAt', now)
return now
