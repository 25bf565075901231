#!lua flags=allow-oom
--[[
  report_held.lua: how many polls one process holds, by receiver: what changed since it last said so. What a process said
  is forgotten when it does not say it again.

  KEYS[1]  sorted set  processes that hold polls, by the ms they last said so
  KEYS[2]  hash        receiver -> polls held by this process
  ARGV[1]  process    ARGV[2]  ms after which it is forgotten    ARGV[3+] per change: receiver, polls held now
]]
--#include lib/entries.lua

local now, lastsMs = clock(), tonumber(ARGV[2])
local held, gone = {}, {}
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] == '0' then
    gone[#gone + 1] = ARGV[i]
  else
    held[#held + 1], held[#held + 2] = ARGV[i], ARGV[i + 1]
  end
end
callWith(gone, 'HDEL', KEYS[2])
callWith(held, 'HSET', KEYS[2])
call('ZREMRANGEBYSCORE', KEYS[1], '-inf', integer(now - lastsMs))
if call('PEXPIRE', KEYS[2], lastsMs) == 1 then
  call('ZADD', KEYS[1], integer(now), ARGV[1])
  call('PEXPIRE', KEYS[1], lastsMs)
else
  call('ZREM', KEYS[1], ARGV[1])
end
