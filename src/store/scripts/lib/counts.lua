-- counts.lua: the hash `counts` of a receiver, and the sets of jtis that were finished.
--#include lib/entries.lua

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

-- Whether finishing an entry made at `ms` has to be noted: its append was noted in the set of an earlier window.
local function isFromEarlierWindow(counts, ms)
  return ms < numberOf(counts, 'doneSince')
end

local function rememberDone(counts, key, jtis, windowMs)
  if #jtis == 0 then return end
  callWith(jtis, 'SADD', key)
  if numberOf(counts, 'doneEnds') == 0 then
    call('PEXPIRE', key, 2 * windowMs)
    setCount(counts, 'doneEnds', 1)
  end
end
