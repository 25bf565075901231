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
--#include lib/counts.lua

local log, ids, countsKey, receiver, channel = KEYS[1], KEYS[2], KEYS[5], KEYS[6], KEYS[7]
local doneKeys = { KEYS[3], KEYS[4] }
local backlogMax, bytesMax, windowMs = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local status = call('HGET', receiver, 'status')
if not status then return { 'unknown' } end

local results = {}
if status == 'disabled' then
  for i = 4, #ARGV, 4 do results[#results + 1] = 'disabled' end
  return results
end

local counts = openCounts(countsKey, {
  'appended', 'bytes', 'setMax', 'lastMs', 'lastN', 'doneSince', 'doneTurn', 'doneEnds',
})
local now = clock()
local doneKey = turnDone(counts, doneKeys, now, windowMs)
local backlog = call('HLEN', ids)
local bytes, setMax = numberOf(counts, 'bytes'), numberOf(counts, 'setMax')
local lastMs, lastN = numberOf(counts, 'lastMs'), numberOf(counts, 'lastN')

-- What is known of each jti is asked for all at once; a call brings a hundred SETs at the most.
local jtis = {}
for i = 4, #ARGV, 4 do jtis[#jtis + 1] = ARGV[i] end
local known = call('HMGET', ids, unpack(jtis))
local done = { call('SMISMEMBER', doneKeys[1], unpack(jtis)), call('SMISMEMBER', doneKeys[2], unpack(jtis)) }

-- Redis refuses an id that is not larger than the last one. `counts` knows the last one; if the two disagree (an
-- operator removed counts, or an older copy was restored) the log is asked.
local function nextId(size, repeatable)
  if lastMs >= now then lastN = lastN + 1 else lastMs, lastN = now, 0 end
  return string.format('%d-%d', lastMs, lastN * SEQ_STEP + size * 2 + repeatable)
end
local function appendEntry(jti, token, digest, repeatable)
  local answer, id
  for try = 1, 2 do
    id = nextId(#token, repeatable)
    answer = redis.pcall('XADD', log, id, 'jti', jti, 'set', token, 'digest', digest)
    if type(answer) ~= 'table' or not answer.err then return id end
    if try == 2 or not string.find(answer.err, 'equal or smaller', 1, true) then return nil, answer.err end
    local info = call('XINFO', 'STREAM', log)
    for i = 1, #info, 2 do
      if info[i] == 'last-generated-id' then
        local ms, seq = parseId(info[i + 1])
        lastMs, lastN = math.max(ms, lastMs), math.floor(seq / SEQ_STEP) + 1
      end
    end
  end
end

local function digestAt(id)
  local found = redis.pcall('XRANGE', log, id, id)
  if found.err then return nil, found.err end
  return found[1] and fieldOf(found[1], 'digest')
end

-- Entries of this call, by jti, so that one sent twice in it is found; and what goes into the index, at once.
local fresh, index, repeatables = {}, {}, {}
local failure
for i = 1, #jtis do
  local at = i * 4
  local jti, token, digest, repeatable = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local id = fresh[jti] or known[i]
  local before
  if id then before, failure = digestAt(id) end
  if failure then break end
  if before then
    results[i] = before == digest and 'duplicate' or 'conflict'
  elseif repeatable == '1' and (done[1][i] == 1 or done[2][i] == 1) then
    results[i] = 'duplicate'
  elseif backlog >= backlogMax or bytes + #token > bytesMax then
    results[i] = 'full'
  else
    id, failure = appendEntry(jti, token, digest, tonumber(repeatable))
    if not id then break end
    fresh[jti] = id
    if repeatable == '1' then repeatables[#repeatables + 1] = jti end
    index[#index + 1], index[#index + 2] = jti, id
    if not known[i] then backlog = backlog + 1 end
    bytes = bytes + #token
    if #token > setMax then setMax = #token end
    results[i] = 'queued'
  end
end

local queued = #index / 2
if queued > 0 then
  call('HSET', ids, unpack(index))
  rememberDone(counts, doneKey, repeatables, windowMs)
  add(counts, 'appended', queued)
  setCount(counts, 'bytes', bytes)
  if setMax ~= numberOf(counts, 'setMax') then setCount(counts, 'setMax', setMax) end
  setCount(counts, 'lastMs', lastMs)
  setCount(counts, 'lastN', lastN)
  if status == 'enabled' then call('SPUBLISH', channel, '') end
end
-- Something is written for a duplicate too: whoever waits for the replication of this call waits for the first with it.
if queued < #results then setCount(counts, 'repeatedMs', now) end
saveCounts(counts)
-- What was appended before is indexed and stands; the caller repeats the rest.
if failure then error(failure) end
return results
