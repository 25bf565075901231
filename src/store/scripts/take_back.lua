#!lua flags=allow-oom
--[[
  take_back.lua: entries that were read behind a poll script which did not ask for them (see poll.lua, ARGV[14]), and that
  nobody was sent: the group is set back to where it was. A crash before leaves them in flight, to lapse after R.
  Where that is no longer where the group is, each that nobody has handed out since is owed again, as if it never had
  been handed out; but what the index does not name is final, and what was parked before the group was lost is parked again.

  Once only: a client library sends a command again after a broken connection, and by then the same entries may have
  been handed out anew, which nothing in the log tells.

  KEYS[1]  stream  log       KEYS[2]  hash     ids     KEYS[3]  hash  why
  KEYS[4]  hash    receiver  KEYS[5]  channel  wake    KEYS[6]  hash  taken (token -> 1; forgets itself)
  ARGV[1]  token    ARGV[2]  ms until which it counts, within 10 s    ARGV[3+]  per entry: id, jti; in the order of the log
  Returns  how many are to be handed out
]]
--#include lib/pending.lua

local log, ids, why, taken = KEYS[1], KEYS[2], KEYS[3], KEYS[6]
if clock() > tonumber(ARGV[2]) or call('HSETNX', taken, ARGV[1], 1) == 0 then return 0 end
call('PEXPIRE', taken, 10000)
if groupIsMissing(redis.pcall('XPENDING', log, GROUP)) then return 0 end
local held, jtis = {}, {}
for i = 3, #ARGV, 2 do
  local id = ARGV[i]
  local pending = call('XPENDING', log, GROUP, id, id, 1, INFLIGHT)[1]
  if pending and tonumber(pending[4]) == 1 then
    held[#held + 1], jtis[#jtis + 1] = id, ARGV[i + 1]
  end
end
if #held == 0 then return 0 end
local back = #held
if 2 * back == #ARGV - 2 and lastRead(log) == held[back] then
  local ms, seq = parseId(held[1])
  callWith(held, 'XACK', log, GROUP)
  local before = seq > 0 and integer(ms) .. '-' .. integer(seq - 1) or integer(ms - 1) .. '-18446744073709551615'
  call('XGROUP', 'SETID', log, GROUP, before)
else
  local owed = {}
  for i, id in ipairs(held) do
    local note = call('HGET', why, jtis[i])
    if call('HGET', ids, jtis[i]) ~= id then
      call('XACK', log, GROUP, id)
    elseif note then
      claim(log, PARKED, { id }, 'RETRYCOUNT', cjson.decode(note).attempts)
    else
      owed[#owed + 1] = id
    end
  end
  claim(log, DUE, owed, 'RETRYCOUNT', 0)
  back = #owed
end
if back > 0 and call('HGET', KEYS[4], 'status') == 'enabled' then call('SPUBLISH', KEYS[5], '') end
return back
