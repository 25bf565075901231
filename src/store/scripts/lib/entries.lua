-- entries.lua: what entry ids and fields tell, and commands for more entries than fit in one call.
--#include lib/base.lua

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

local function fieldOf(entry, name)
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if fields[i] == name then return fields[i + 1] end
  end
end

-- Behind a jti in a set of finished ones: it was discarded, not acknowledged.
local DISCARDED = '\0discarded'

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
