#!lua flags=allow-oom
--[[
  remove_receiver.lua: delete a receiver with all it holds. What stays of it is the mark that its id is used up.
  UNLINK frees the memory in the background, however large the log is. Held polls are woken and find it gone.

  KEYS[1]  hash  receiver    KEYS[2]  channel  wake    KEYS[3+]  every other key of the receiver
  ARGV[1]  1 to delete it in any status, 0 only when disabled
  Returns  1 deleted; 0 not disabled; -1 no such receiver
]]
--#include lib/base.lua

local status = call('HGET', KEYS[1], 'status')
if not status then return -1 end
if ARGV[1] ~= '1' and status ~= 'disabled' then return 0 end
call('UNLINK', KEYS[1], unpack(KEYS, 3))
call('HSET', KEYS[1], 'deletedAt', integer(clock()))
call('SPUBLISH', KEYS[2], '')
return 1
