#!lua flags=no-writes
--[[
  locate.lua: where one SET is, from the log itself.

  KEYS[1]  stream  log    KEYS[2]  hash  ids    KEYS[3]  hash  why    KEYS[4], KEYS[5]  sets  done:0, done:1
  KEYS[6]  stream  acked    KEYS[7]  hash  receiver
  ARGV[1]  jti    ARGV[2]  acknowledgements to look through, newest first
  Returns  {'unknown-receiver'} | {'unknown'} | {'discarded'} | {'acknowledged'} | {'acknowledged', entry id, token, ms of the ack} |
           {'queued' | 'inflight' | 'due' | 'parked', entry id, token, attempts, idle ms, why or ''}
]]
--#include lib/pending.lua

local log, jti = KEYS[1], ARGV[1]
if call('HEXISTS', KEYS[7], 'status') == 0 then return { 'unknown-receiver' } end
local function tokenAt(id)
  local found = call('XRANGE', log, id, id)
  return found[1] and fieldOf(found[1], 'set') or ''
end
local id = call('HGET', KEYS[2], jti)
if id then
  local pending = redis.pcall('XPENDING', log, GROUP, id, id, 1)
  if not groupIsMissing(pending) and pending[1] then
    return { pending[1][2], id, tokenAt(id), tonumber(pending[1][4]), tonumber(pending[1][3]),
      call('HGET', KEYS[3], jti) or '' }
  end
  return { 'queued', id, tokenAt(id), 0, 0, '' }
end
for _, entry in ipairs(call('XREVRANGE', KEYS[6], '+', '-', 'COUNT', tonumber(ARGV[2]))) do
  if fieldOf(entry, 'jti') == jti then
    local entryId = fieldOf(entry, 'id')
    return { 'acknowledged', entryId, tokenAt(entryId), (parseId(entry[1])) }
  end
end
if call('SISMEMBER', KEYS[4], jti .. DISCARDED) == 1 or call('SISMEMBER', KEYS[5], jti .. DISCARDED) == 1 then
  return { 'discarded' }
end
if call('SISMEMBER', KEYS[4], jti) == 1 or call('SISMEMBER', KEYS[5], jti) == 1 then
  return { 'acknowledged' }
end
return { 'unknown' }
