#!lua flags=no-writes
--[[
  count.lua: what a receiver holds, derived from the log and never stored; O(log n).

  KEYS[1]  stream  log    KEYS[2]  hash  ids    KEYS[3]  hash  counts    KEYS[4]  hash  receiver    KEYS[5]  stream  acked
  Returns  {'unknown'} | {status, backlog, in flight, owed again, parked, ms of the oldest unacknowledged SET or -1,
            now ms, retained, counts as a flat list of field, value}
]]
--#include lib/pending.lua

local log = KEYS[1]
local status = call('HGET', KEYS[4], 'status')
if not status then return { 'unknown' } end
local backlog = call('HLEN', KEYS[2])
local oldest = -1
local function consider(id)
  local ms = parseId(id)
  if oldest < 0 or ms < oldest then oldest = ms end
end
local pending = { inflight = 0, due = 0, parked = 0, total = 0 }
local read = '0-0'
local groups = redis.pcall('XINFO', 'GROUPS', log)
if not groups.err then
  for _, group in ipairs(groups) do
    for i = 1, #group, 2 do
      if group[i] == 'last-delivered-id' then read = group[i + 1] end
    end
  end
  if #groups > 0 then
    pending = pendingCounts(log)
    for _, consumer in ipairs({ INFLIGHT, DUE }) do
      local first = call('XPENDING', log, GROUP, '-', '+', 1, consumer)
      if first[1] then consider(first[1][1]) end
    end
  end
end
if backlog > pending.total then
  local first = call('XRANGE', log, '(' .. read, '+', 'COUNT', 1)
  if first[1] then consider(first[1][1]) end
end
return {
  status, backlog, pending.inflight, pending.due, pending.parked, oldest, clock(), call('XLEN', KEYS[5]),
  call('HGETALL', KEYS[3]),
}
