#!lua flags=allow-oom
--[[
  trim.lua: one step of retention: acknowledged SETs kept for replay go once their time is over, with their entries;
  so do reports.

  KEYS[1]  stream  log    KEYS[2]  stream  acked    KEYS[3]  stream  errors    KEYS[4]  hash  counts
  ARGV[1]  retainAckedMs    ARGV[2]  retainErrorsMs    ARGV[3]  SETs, and reports, at the most
  Returns  {SETs trimmed, 1 if there may be more, reports trimmed}
]]
--#include lib/entries.lua

local log, acked, errors = KEYS[1], KEYS[2], KEYS[3]
local now, count = clock(), tonumber(ARGV[3])
local last = '(' .. integer(now - tonumber(ARGV[1])) .. '-0'
local listed = call('XRANGE', acked, '-', last, 'COUNT', count)
local entries, marks = {}, {}
for i, entry in ipairs(listed) do
  entries[i], marks[i] = fieldOf(entry, 'id'), entry[1]
end
callWith(entries, 'XDEL', log)
callWith(marks, 'XDEL', acked)
-- One by one: trimming by whole nodes of the stream would keep descriptions beyond the time that was promised.
local reports = call('XRANGE', errors, '-', '(' .. integer(now - tonumber(ARGV[2])) .. '-0', 'COUNT', count)
for i, report in ipairs(reports) do reports[i] = report[1] end
callWith(reports, 'XDEL', errors)
if #entries > 0 then call('HINCRBY', KEYS[4], 'trimmed', #entries) end
return { #entries, (#listed == count or #reports == count) and 1 or 0, #reports }
