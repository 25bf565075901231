#!lua flags=allow-oom
--[[
  take_back.lua: entries that were read behind a poll script which did not ask for them (see poll.lua, ARGV[14]), and that
  nobody was sent: the group is set back to where it was. A crash before leaves them in flight, to lapse after R.
  Once others have read on, they are owed again instead, as if never handed out; but what the index does not name is
  final, and what was parked before the group was lost is parked again.

  KEYS[1]  stream  log    KEYS[2]  hash  ids    KEYS[3]  hash  why    KEYS[4]  hash  receiver    KEYS[5]  channel  wake
  ARGV  per entry: id, jti; in the order of the log
  Returns  how many are to be handed out
]]
local log, ids, why = KEYS[1], KEYS[2], KEYS[3]
local entries, jtis = {}, {}
for i = 1, #ARGV, 2 do
  entries[#entries + 1], jtis[#jtis + 1] = ARGV[i], ARGV[i + 1]
end
if groupIsMissing(redis.pcall('XPENDING', log, GROUP)) then return 0 end
local back = #entries
if lastRead(log) == entries[#entries] then
  local ms, seq = parseId(entries[1])
  callWith(entries, 'XACK', log, GROUP)
  local before = seq > 0 and integer(ms) .. '-' .. integer(seq - 1) or integer(ms - 1) .. '-18446744073709551615'
  call('XGROUP', 'SETID', log, GROUP, before)
else
  local owed = {}
  for i, id in ipairs(entries) do
    local pending = call('XPENDING', log, GROUP, id, id, 1, INFLIGHT)[1]
    if pending and tonumber(pending[4]) == 1 then
      local note = call('HGET', why, jtis[i])
      if call('HGET', ids, jtis[i]) ~= id then
        call('XACK', log, GROUP, id)
      elseif note then
        claim(log, PARKED, { id }, 'RETRYCOUNT', cjson.decode(note).attempts)
      else
        owed[#owed + 1] = id
      end
    end
  end
  claim(log, DUE, owed, 'RETRYCOUNT', 0)
  back = #owed
end
if back > 0 and call('HGET', KEYS[4], 'status') == 'enabled' then call('SPUBLISH', KEYS[5], '') end
return back
