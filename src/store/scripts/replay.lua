#!lua flags=allow-oom
--[[
  replay.lua: one step of making retained, acknowledged SETs owed again. FORCE puts an entry back into the pending
  list; the minimum idle time, longer than any entry can have been pending, leaves what is pending as it is.

  KEYS[1]  stream  log    KEYS[2]  hash  ids    KEYS[3]  stream  acked    KEYS[4]  hash  counts    KEYS[5]  hash  receiver
  KEYS[6]  channel wake
  ARGV[1]  from, ms of the acknowledgement    ARGV[2]  to, ms, or '+'    ARGV[3]  SETs at the most
  Returns  {moved, 1 if there may be more, ms of the oldest retained acknowledgement or -1, now ms}
]]
--#include lib/pending.lua

local log, ids, acked = KEYS[1], KEYS[2], KEYS[3]
local NO_IDLE_TIME = '9007199254740991'
if not pendingCounts(log) then
  local counts = openCounts(KEYS[4], { 'filter' })
  ensureGroup(log, counts)
  saveCounts(counts)
end
local moved, bytes, jtis = 0, 0, {}
local listed = call('XRANGE', acked, ARGV[1], ARGV[2], 'COUNT', tonumber(ARGV[3]))
for _, entry in ipairs(listed) do
  local id, jti = fieldOf(entry, 'id'), fieldOf(entry, 'jti')
  call('XDEL', acked, entry[1])
  local open = call('HGET', ids, jti)
  if open and open ~= id then
    -- The producer repeated the SET when its jti was forgotten: the newer one stands, and nothing names this one any more.
    call('XDEL', log, id)
  elseif not open then
    local claimed = call('XCLAIM', log, GROUP, DUE, NO_IDLE_TIME, id, 'RETRYCOUNT', 0, 'FORCE', 'JUSTID')
    if claimed[1] then
      local _, seq = parseId(id)
      call('HSET', ids, jti, id)
      moved, bytes = moved + 1, bytes + bytesOf(seq)
    end
  end
end
if moved > 0 then
  call('HINCRBY', KEYS[4], 'replayed', moved)
  call('HINCRBY', KEYS[4], 'bytes', bytes)
  if call('HGET', KEYS[5], 'status') == 'enabled' then call('SPUBLISH', KEYS[6], '') end
end
local first = call('XRANGE', acked, '-', '+', 'COUNT', 1)
return { moved, #listed == tonumber(ARGV[3]) and 1 or 0, first[1] and (parseId(first[1][1])) or -1, clock() }
