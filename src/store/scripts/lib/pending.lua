-- pending.lua: the group's pending list: what is in flight, owed again and parked, and how it comes to be so.
--#include lib/counts.lua

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

local function claim(log, consumer, entries, ...)
  local options = { ... }
  for from = 1, #entries, UNPACK_MAX do
    local args = { unpack(entries, from, math.min(from + UNPACK_MAX - 1, #entries)) }
    for _, option in ipairs(options) do args[#args + 1] = option end
    args[#args + 1] = 'JUSTID'
    call('XCLAIM', log, GROUP, consumer, 0, unpack(args))
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
