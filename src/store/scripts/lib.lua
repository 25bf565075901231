--[[
  lib.lua: what several scripts need; scripts.ts puts it in front of each of them.

  An entry id is <ms>-<seq>. The ms is Redis's time of the append. The seq carries two facts about the entry, so
  that settling needs no look at the entry itself:
    seq = n * 2^22 + bytes * 2 + repeatable
  n counts entries within one ms, bytes is the length of the SET, repeatable is 1 when a producer could send the
  same jti again (it gave an `id`, or the SET was issued elsewhere).
]]
local GROUP = 'poll'
local INFLIGHT, DUE, PARKED = 'inflight', 'due', 'parked'
local SEQ_STEP = 4194304
local UNPACK_MAX = 1000
local call = redis.call

local function clock()
  local time = call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function parseId(id)
  local dash = string.find(id, '-', 1, true)
  return tonumber(string.sub(id, 1, dash - 1)), tonumber(string.sub(id, dash + 1))
end

-- The ms has 13 digits, from 2001 to 2286; this runs once per SET that is settled.
local function seqOf(id)
  return tonumber(string.sub(id, 15))
end

local function bytesOf(seq)
  return math.floor((seq % SEQ_STEP) / 2)
end

local function isRepeatable(seq)
  return seq % 2 == 1
end

local function integer(value)
  return string.format('%d', value)
end

-- Calls a command with the values behind its key (and a third word), in runs that Lua's stack takes; returns the sum of
-- what it answered.
local function callWith(values, command, key, third)
  local sum = 0
  for from = 1, #values, UNPACK_MAX do
    local to = math.min(from + UNPACK_MAX - 1, #values)
    if third then
      sum = sum + call(command, key, third, unpack(values, from, to))
    else
      sum = sum + call(command, key, unpack(values, from, to))
    end
  end
  return sum
end

-- The hash `counts`: the fields named are read at once, others when they are asked for, and what changed is written
-- at once by saveCounts.
local function openCounts(key, fields)
  local values = call('HMGET', key, unpack(fields))
  local known = {}
  for i = 1, #fields do known[fields[i]] = values[i] end
  return { key = key, known = known, changed = {} }
end

local function textOf(counts, field)
  local value = counts.known[field]
  if value == nil then
    value = call('HGET', counts.key, field)
    counts.known[field] = value
  end
  return value
end

local function numberOf(counts, field)
  return tonumber(textOf(counts, field) or 0)
end

local function setCount(counts, field, value)
  counts.known[field] = value
  counts.changed[field] = value
end

local function add(counts, field, n)
  if n ~= 0 then setCount(counts, field, numberOf(counts, field) + n) end
end

local function saveCounts(counts)
  local args, n = {}, 0
  for field, value in pairs(counts.changed) do
    args[n + 1], args[n + 2] = field, value
    n = n + 2
  end
  if n > 0 then call('HSET', counts.key, unpack(args)) end
end

-- The two sets of jtis that were finished, or may be by now, take turns by Redis time: a jti is remembered for one to two
-- windows. An append puts its jti into the set of its time; a SET that is finished within the same window, as nearly all
-- are, then needs no further note, and one from an earlier window is noted again.
-- A receiver that falls idle gives its memory back by itself: each set ends two windows after it was begun.
local function turnDone(counts, doneKeys, now, windowMs)
  local since = numberOf(counts, 'doneSince')
  local turn = numberOf(counts, 'doneTurn')
  if since == 0 then
    -- Nothing yet, or `counts` was lost: what the sets hold is kept until they end by themselves.
    setCount(counts, 'doneSince', now)
  elseif now - since >= windowMs or now < since then
    if now - since >= 2 * windowMs then call('UNLINK', doneKeys[turn + 1]) end
    turn = 1 - turn
    call('UNLINK', doneKeys[turn + 1])
    setCount(counts, 'doneTurn', turn)
    setCount(counts, 'doneSince', now)
    setCount(counts, 'doneEnds', 0)
  end
  return doneKeys[turn + 1]
end

local function rememberDone(counts, key, jtis, windowMs)
  if #jtis == 0 then return end
  callWith(jtis, 'SADD', key)
  if numberOf(counts, 'doneEnds') == 0 then
    call('PEXPIRE', key, 2 * windowMs)
    setCount(counts, 'doneEnds', 1)
  end
end

-- A lost group is made again from the beginning: what was in flight is owed again rather than lost. Retained
-- SETs that were acknowledged still stand in the log, hence the filter (see poll.lua).
local function ensureGroup(log, counts)
  call('XGROUP', 'CREATE', log, GROUP, '0', 'MKSTREAM')
  setCount(counts, 'filter', 1)
end

local function groupIsMissing(answer)
  if type(answer) ~= 'table' or not answer.err then return false end
  if string.find(answer.err, 'NOGROUP', 1, true) then return true end
  error(answer.err)
end

-- {inflight, due, parked, total} of the group's pending list, in O(1); nil if there is no group.
local function pendingCounts(log)
  local summary = redis.pcall('XPENDING', log, GROUP)
  if groupIsMissing(summary) then return nil end
  local pending = { inflight = 0, due = 0, parked = 0, total = tonumber(summary[1]) }
  if summary[4] then
    for _, consumer in ipairs(summary[4]) do pending[consumer[1]] = tonumber(consumer[2]) end
  end
  return pending
end

local function claim(log, consumer, entries, ...)
  local options = { ... }
  for from = 1, #entries, UNPACK_MAX do
    local args = { unpack(entries, from, math.min(from + UNPACK_MAX - 1, #entries)) }
    for _, option in ipairs(options) do args[#args + 1] = option end
    args[#args + 1] = 'JUSTID'
    call('XCLAIM', log, GROUP, consumer, 0, unpack(args))
  end
end

-- Behind a jti in a set of finished ones: it was discarded, not acknowledged.
local DISCARDED = '\0discarded'

-- Whether finishing an entry made at `ms` has to be noted: its append was noted in the set of an earlier window.
local function isFromEarlierWindow(counts, ms)
  return ms < numberOf(counts, 'doneSince')
end

local function fieldOf(entry, name)
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if fields[i] == name then return fields[i + 1] end
  end
end

-- Parks entries that are pending: they change hands to `parked`, and `why` says why. Returns how many.
local function park(log, why, items, reason, now)
  local parked = {}
  for _, item in ipairs(items) do
    local jti = item.jti
    if not jti then
      local found = call('XRANGE', log, item.id, item.id)
      jti = found[1] and fieldOf(found[1], 'jti')
    end
    if jti then
      parked[#parked + 1] = item.id
      local note = item.note or {}
      note.reason, note.atMs, note.attempts = reason, now, item.attempts
      call('HSET', why, jti, cjson.encode(note))
    else
      call('XACK', log, GROUP, item.id)
    end
  end
  claim(log, PARKED, parked)
  return #parked
end

--[[
  Looks at up to `count` entries in flight from `cursor` on; what has been there for R is owed again, or parked once
  it is out of attempts and old enough. Returns a table: examined, due, parked, cursor ('-' once the end was
  reached), earliest (ms until the next of those seen lapses, nil if none was left).
]]
local function lapse(log, why, cursor, count, now, limits)
  local listed = redis.pcall('XPENDING', log, GROUP, cursor, '+', count, INFLIGHT)
  if groupIsMissing(listed) then return nil end
  local due, dead, earliest = {}, {}, nil
  for _, pending in ipairs(listed) do
    local id, idle, attempts = pending[1], tonumber(pending[3]), tonumber(pending[4])
    if idle < limits.redeliverAfterMs then
      local left = limits.redeliverAfterMs - idle
      if not earliest or left < earliest then earliest = left end
    else
      local ms = parseId(id)
      if limits.maxAttempts > 0 and attempts >= limits.maxAttempts and now - ms >= limits.parkAfterMs then
        dead[#dead + 1] = { id = id, attempts = attempts }
      else
        due[#due + 1] = id
      end
    end
  end
  claim(log, DUE, due)
  return {
    examined = #listed,
    due = #due,
    parked = park(log, why, dead, 'attempts', now),
    cursor = #listed == count and '(' .. listed[#listed][1] or '-',
    earliest = earliest,
  }
end

-- The parked SETs that ARGV asks for: all of them, oldest first, up to ARGV[2]; or ARGV[2] jtis from ARGV[3] on.
local function parkedChoice(log, ids, why)
  local chosen = {}
  if ARGV[1] == 'all' then
    for _, pending in ipairs(call('XPENDING', log, GROUP, '-', '+', tonumber(ARGV[2]), PARKED)) do
      local found = call('XRANGE', log, pending[1], pending[1])
      if found[1] then
        chosen[#chosen + 1] = { id = pending[1], jti = fieldOf(found[1], 'jti') }
      else
        call('XACK', log, GROUP, pending[1])
      end
    end
    return chosen
  end
  local seen = {}
  for i = 3, 2 + tonumber(ARGV[2]) do
    local id = not seen[ARGV[i]] and call('HGET', ids, ARGV[i])
    seen[ARGV[i]] = true
    if id and call('HEXISTS', why, ARGV[i]) == 1 then
      local pending = call('XPENDING', log, GROUP, id, id, 1, PARKED)
      if pending[1] then chosen[#chosen + 1] = { id = id, jti = ARGV[i] } end
    end
  end
  return chosen
end

-- The id of the last entry that the group has read.
local function lastRead(log)
  for _, group in ipairs(call('XINFO', 'GROUPS', log)) do
    local name, last
    for i = 1, #group, 2 do
      if group[i] == 'name' then name = group[i + 1] end
      if group[i] == 'last-delivered-id' then last = group[i + 1] end
    end
    if name == GROUP then return last end
  end
end

--[[
  Parks up to `count` unacknowledged SETs made before a moment (ms), oldest first: those in flight and owed again, then
  queued ones. Queued SETs are first read as `parked`, which counts an attempt; it is taken back, since nobody was sent
  anything. Returns how many, and whether there may be more.
]]
local function expireStep(log, ids, why, counts, reason, before, count, now)
  local last = '(' .. integer(before) .. '-0'
  local items = {}
  for _, consumer in ipairs({ INFLIGHT, DUE }) do
    if #items < count then
      local listed = redis.pcall('XPENDING', log, GROUP, '-', last, count - #items, consumer)
      if groupIsMissing(listed) then
        ensureGroup(log, counts)
        listed = {}
      end
      for _, pending in ipairs(listed) do
        items[#items + 1] = { id = pending[1], attempts = tonumber(pending[4]) }
      end
    end
  end
  local parked = park(log, why, items, reason, now)
  local full = #items >= count

  -- Entries are copied whole into the script, so a step of large ones takes fewer.
  local room = math.min(count - #items, math.max(1, math.floor(1048576 / math.max(1, numberOf(counts, 'setMax')))))
  if room > 0 then
    local queued = call('XRANGE', log, '(' .. lastRead(log), last, 'COUNT', room)
    if #queued > 0 then
      call('XREADGROUP', 'GROUP', GROUP, PARKED, 'COUNT', #queued, 'STREAMS', log, '>')
      local fresh, entries = {}, {}
      for _, entry in ipairs(queued) do
        local jti = fieldOf(entry, 'jti')
        if call('HGET', ids, jti) == entry[1] then
          -- One that was parked before the group was lost stays what it was.
          if call('HEXISTS', why, jti) == 0 then fresh[#fresh + 1] = { id = entry[1], jti = jti, attempts = 0 } end
          entries[#entries + 1] = entry[1]
        else
          call('XACK', log, GROUP, entry[1])
        end
      end
      parked = parked + park(log, why, fresh, reason, now)
      if #entries > 0 then claim(log, PARKED, entries, 'RETRYCOUNT', 0) end
      full = full or #queued == room
    end
  end
  add(counts, 'parked:' .. reason, parked)
  return parked, full
end
