#!lua flags=no-writes
--[[
  list.lua: a page of one receiver's SETs in one state, oldest first.

  KEYS[1]  stream  log    KEYS[2]  hash  why    KEYS[3]  hash  receiver    KEYS[4]  stream  acked
  ARGV[1]  inflight, due, parked, queued or acked    ARGV[2]  cursor, '-' to begin    ARGV[3]  entries to look at
  ARGV[4]  reason of parking, '' = any
  Returns  {'unknown'} | {cursor ('-' at the end), {per SET: entry id, jti, attempts, idle ms, why or '', bytes}}
]]
--#include lib/pending.lua

local log, why, state, cursor, count, reason = KEYS[1], KEYS[2], ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
if call('HEXISTS', KEYS[3], 'status') == 0 then return { 'unknown' } end
local items, nextCursor = {}, '-'
local function put(id, jti, attempts, idle, note)
  local _, seq = parseId(id)
  local n = #items
  items[n + 1], items[n + 2], items[n + 3], items[n + 4] = id, jti, attempts, idle
  items[n + 5], items[n + 6] = note, bytesOf(seq)
end
if state == 'queued' then
  local read = lastRead(log)
  if not read then return { '-', {} } end
  local entries = call('XRANGE', log, cursor == '-' and '(' .. read or cursor, '+', 'COUNT', count)
  for _, entry in ipairs(entries) do put(entry[1], fieldOf(entry, 'jti'), 0, 0, '') end
  if #entries == count then nextCursor = '(' .. entries[count][1] end
elseif state == 'acked' then
  local entries = call('XRANGE', KEYS[4], cursor, '+', 'COUNT', count)
  for _, entry in ipairs(entries) do put(fieldOf(entry, 'id'), fieldOf(entry, 'jti'), 0, 0, '') end
  if #entries == count then nextCursor = '(' .. entries[count][1] end
else
  local listed = redis.pcall('XPENDING', log, GROUP, cursor, '+', count, state)
  if groupIsMissing(listed) then return { '-', {} } end
  for _, pending in ipairs(listed) do
    local found = call('XRANGE', log, pending[1], pending[1])
    local jti = found[1] and fieldOf(found[1], 'jti')
    if jti then
      local note = state == PARKED and call('HGET', why, jti) or ''
      if reason == '' or (note and note ~= '' and cjson.decode(note).reason == reason) then
        put(pending[1], jti, tonumber(pending[4]), tonumber(pending[3]), note or '')
      end
    end
  end
  if #listed == count then nextCursor = '(' .. listed[count][1] end
end
return { nextCursor, items }
