#!lua flags=allow-oom
--[[
  lease.lua: take, keep or give back a lease. It ends by itself, so that a holder that died is followed by another.

  KEYS[1]  string  lease: who holds it
  ARGV[1]  who asks    ARGV[2]  ms it lasts from now, 0 to give it back
  Returns  1 the lease is held by who asks, or was; 0 another holds it
]]
--#include lib/base.lua

local holder = call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
if tonumber(ARGV[2]) > 0 then
  call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
elseif holder then
  call('DEL', KEYS[1])
end
return 1
