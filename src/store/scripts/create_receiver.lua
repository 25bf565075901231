#!lua
--[[
  create_receiver.lua: write a registry record that does not exist and never did, and make the log's group with it.

  KEYS[1]  hash  receiver    KEYS[2]  stream  log
  ARGV[1]  status    ARGV[2]  record, JSON
  Returns  1 made, 0 the id is taken, also by a deleted receiver
]]
--#include lib/base.lua

if call('EXISTS', KEYS[1]) == 1 then return 0 end
call('HSET', KEYS[1], 'status', ARGV[1], 'record', ARGV[2], 'version', 1)
if call('EXISTS', KEYS[2]) == 0 then call('XGROUP', 'CREATE', KEYS[2], GROUP, '0', 'MKSTREAM') end
return 1
