#!lua
--[[
  append.lua: put SETs at the end of one receiver's log, each jti once.
  The look-up of the jti, the bounds, the entry and the index are one step: two publishes of the same SET, on any two
  processes, cannot both append it, and no entry exists that its jti does not find.
  No allow-oom: when memory is short Redis refuses this script before it runs, and nothing was applied.

  KEYS[1]  stream  log              KEYS[2]  hash  ids              KEYS[3], KEYS[4]  sets  done:0, done:1
  KEYS[5]  hash    counts           KEYS[6]  hash  receiver         KEYS[7]  channel  wake
  ARGV[1]  backlogMax (SETs)        ARGV[2]  backlogBytesMax (bytes)   ARGV[3]  dedupeWindowMs
  ARGV[4+] per SET: jti, token, digest, repeatable ('1' or '0')
  Returns  one word per SET: queued, duplicate, conflict, full, disabled; or the one word unknown (no such receiver)
]]
local log, ids, countsKey, receiver, channel = KEYS[1], KEYS[2], KEYS[5], KEYS[6], KEYS[7]
local doneKeys = { KEYS[3], KEYS[4] }
local backlogMax, bytesMax, windowMs = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local status = redis.call('HGET', receiver, 'status')
if not status then return { 'unknown' } end

local results = {}
if status == 'disabled' then
  for i = 4, #ARGV, 4 do results[#results + 1] = 'disabled' end
  return results
end

local counts = openCounts(countsKey, { 'appended', 'bytes', 'setMax', 'lastMs', 'lastN', unpack(DONE_FIELDS) })
local now = clock()
turnDone(counts, doneKeys, now, windowMs)
local backlog = redis.call('HLEN', ids)
local bytes = counts.number('bytes')
local lastMs, lastN = counts.number('lastMs'), counts.number('lastN')
local queued = 0

-- Redis refuses an id that is not larger than the last one. `counts` knows the last one; if the two disagree (an
-- operator removed counts, or an older copy was restored) the log is asked.
local function nextId(size, repeatable)
  if lastMs >= now then lastN = lastN + 1 else lastMs, lastN = now, 0 end
  return integer(lastMs) .. '-' .. integer(lastN * SEQ_STEP + size * 2 + repeatable)
end
local function appendEntry(jti, token, digest, repeatable)
  local answer, id
  for try = 1, 2 do
    id = nextId(#token, repeatable)
    answer = redis.pcall('XADD', log, id, 'jti', jti, 'set', token, 'digest', digest)
    if type(answer) ~= 'table' or not answer.err then return id end
    if try == 2 or not string.find(answer.err, 'equal or smaller', 1, true) then error(answer.err) end
    local info = redis.call('XINFO', 'STREAM', log)
    for i = 1, #info, 2 do
      if info[i] == 'last-generated-id' then
        local ms, seq = parseId(info[i + 1])
        lastMs, lastN = math.max(ms, lastMs), math.floor(seq / SEQ_STEP) + 1
      end
    end
  end
end

local function digestAt(id)
  local found = redis.call('XRANGE', log, id, id)
  return found[1] and fieldOf(found[1], 'digest')
end

for i = 4, #ARGV, 4 do
  local jti, token, digest, repeatable = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
  local known = redis.call('HGET', ids, jti)
  local knownDigest = known and digestAt(known)
  local result
  if knownDigest then
    result = knownDigest == digest and 'duplicate' or 'conflict'
  elseif repeatable == 1
    and (redis.call('SISMEMBER', doneKeys[1], jti) == 1 or redis.call('SISMEMBER', doneKeys[2], jti) == 1) then
    result = 'duplicate'
  elseif backlog >= backlogMax or bytes + #token > bytesMax then
    result = 'full'
  else
    redis.call('HSET', ids, jti, appendEntry(jti, token, digest, repeatable))
    if not known then backlog = backlog + 1 end
    bytes = bytes + #token
    if #token > counts.number('setMax') then counts.set('setMax', #token) end
    queued = queued + 1
    result = 'queued'
  end
  results[#results + 1] = result
end

if queued > 0 then
  add(counts, 'appended', queued)
  counts.set('bytes', bytes)
  counts.set('lastMs', lastMs)
  counts.set('lastN', lastN)
  if status == 'enabled' then redis.call('SPUBLISH', channel, '') end
end
counts.save()
return results
