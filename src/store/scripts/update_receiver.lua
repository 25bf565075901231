#!lua flags=allow-oom
--[[
  update_receiver.lua: replace a registry record if it is still the one that was read. Being enabled wakes held polls.

  KEYS[1]  hash  receiver    KEYS[2]  channel  wake    KEYS[3]  hash  counts
  ARGV[1]  version that was read    ARGV[2]  status    ARGV[3]  record, JSON
  Returns  new version; 0 changed meanwhile; -1 no such receiver
]]
--#include lib/base.lua

local before = call('HMGET', KEYS[1], 'version', 'status')
if not before[2] then return -1 end
if before[1] ~= ARGV[1] then return 0 end
local version = tonumber(ARGV[1]) + 1
call('HSET', KEYS[1], 'status', ARGV[2], 'record', ARGV[3], 'version', version)
-- A shorter R makes the flagged sweep too late: the next poll asks for one anew.
call('HDEL', KEYS[3], 'sweepAt')
if ARGV[2] == 'enabled' then call('SPUBLISH', KEYS[2], '') end
return version
