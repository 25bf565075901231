--[[
  base.lua: names of the group and its consumers, what an entry id is, and what nearly every script calls. A script says
  what it needs by `--#include`, and scripts.ts puts that file there, once. Each function costs a poll as much as a tenth
  of a command, called or not: hence several libraries, and the most frequent path in front of the larger ones.

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

-- Redis's time in ms. By arithmetic, which makes numbers of text in half of what tonumber takes.
local function clock()
  local time = call('TIME')
  local us = time[2] + 0
  return time[1] * 1000 + (us - us % 1000) / 1000
end

local function integer(value)
  return string.format('%d', value)
end
