--[[
  poll_straight.lua: what nearly every poll of a busy receiver is: nothing reported, nothing owed again, nothing retained,
  and each acknowledged jti was in flight. The same steps as behind it in poll.lua in one pass, without what only the
  other cases need, their functions included (docs/performance.md says what that is worth). Whatever turns out to be
  otherwise goes on there, with what was settled here.
]]

-- A step of the walk through what is in flight: whether something has lapsed, and where the next step begins.
local function look(from)
  local listed = call('XPENDING', log, GROUP, from, '+', LAPSE_STEP, INFLIGHT)
  for i = 1, #listed do
    if listed[i][3] >= redeliverAfterMs then return true end
  end
  return false, #listed == LAPSE_STEP and '(' .. listed[LAPSE_STEP][1] or '-'
end

-- Of no more than a step's worth in flight Redis itself looks at all, which is bounded by that.
local function hasAnyLapsed()
  return #call('XPENDING', log, GROUP, 'IDLE', ARGV[3], '-', '+', '1', INFLIGHT) > 0
end

repeat
  if limit == 0 or status ~= 'enabled' or ackCount > UNPACK_MAX or firstReport <= #ARGV or ARGV[6] ~= '0'
    or ARGV[10] ~= '0' or ARGV[11] ~= '0' then break end
  local state = call('HMGET', KEYS[8], 'acknowledged', 'delivered', 'bytes', 'setMax', 'sweepAt', 'filter', 'doneSince',
    'idleSince', 'idlePolls', 'lapseCursor')
  if state[6] == '1' or limit * (state[4] or 0) > ARGV[2] + 0 then break end
  if idleMax > 0 then
    local since = (state[8] or 0) + 0
    if now - since >= 60000 or now < since or (state[9] or 0) + 0 >= idleMax then break end
  end
  local pending = redis.pcall('XPENDING', log, GROUP)
  if pending.err then break end
  local held, inflight, hasParked, hasDue = pending[1], 0, false, false
  for _, consumer in ipairs(pending[4] or {}) do
    if consumer[1] == INFLIGHT then
      inflight = consumer[2] + 0
    elseif consumer[1] == PARKED then
      hasParked = true
    else
      hasDue = true
    end
  end
  if hasDue then break end

  local changed, n = { 'lastPoll', now }, 2
  local queued
  if isReadAfter then
    -- All that stands against it has to be known before anything is done.
    queued = call('HLEN', ids) - held
    if queued <= 0 then break end
    local hasLapsed, cursor = false, '-'
    if inflight > LAPSE_STEP then
      local from = state[10] or '-'
      hasLapsed, cursor = look(from)
      if not hasLapsed and cursor == '-' and from ~= '-' then hasLapsed, cursor = look('-') end
      changed[3], changed[4], n = 'lapseCursor', cursor, 4
    elseif inflight > 0 then
      hasLapsed = hasAnyLapsed()
    end
    if hasLapsed then break end
    readAfter = math.min(limit, queued)
  end
  if ackCount > 0 then
    local since = (state[7] or 0) + 0
    local windowMs = ARGV[7] + 0
    if since == 0 or now - since >= windowMs or now < since then break end
    found = call('HMGET', ids, unpack(ARGV, firstAck, firstReport - 1))
    for i = 1, ackCount do
      if not found[i] then
        found = nil
        break
      end
    end
    if not found then break end
    if hasParked then
      local notes, isParked = call('HMGET', why, unpack(ARGV, firstAck, firstReport - 1)), false
      for i = 1, ackCount do isParked = isParked or notes[i] end
      if isParked then break end
    end
    if ARGV[12] == '1' then
      local sample = call('XPENDING', log, GROUP, found[ackCount], found[ackCount], 1, INFLIGHT)[1]
      if sample then inFlightMs = sample[3] end
    end
    freed = call('XACK', log, GROUP, unpack(found))
    if freed < ackCount then break end
    local windowSince = integer(since)
    local repeatable, bytes = {}, 0
    for i = 1, ackCount do
      local seq = sub(found[i], 15) % SEQ_STEP
      local flag = seq % 2
      bytes = bytes + (seq - flag) / 2
      if flag == 1 and found[i] < windowSince then repeatable[#repeatable + 1] = ARGV[firstAck + i - 1] end
    end
    call('HDEL', ids, unpack(ARGV, firstAck, firstReport - 1))
    call('XDEL', log, unpack(found))
    changed[n + 1], changed[n + 2] = 'acknowledged', (state[1] or 0) + ackCount
    changed[n + 3], changed[n + 4] = 'bytes', math.max(0, (state[3] or 0) - bytes)
    n, settled, inflight, held = n + 4, ackCount, inflight - ackCount, held - ackCount
    if #repeatable > 0 then
      local done = call('HMGET', KEYS[8], 'doneTurn', 'doneEnds')
      local doneKey = done[1] == '1' and KEYS[6] or KEYS[5]
      call('SADD', doneKey, unpack(repeatable))
      if done[2] ~= '1' then
        call('PEXPIRE', doneKey, 2 * windowMs)
        changed[n + 1], changed[n + 2] = 'doneEnds', 1
        n = n + 2
      end
    end
  end

  -- {word, more, sweepInMs, now, settled, oldestMs, inFlightMs}, and behind it what is handed out.
  local reply, handedOut = { 'sets', 0, -1, now, settled, -1, inFlightMs }, 0
  if isReadAfter then
    handedOut = readAfter
    if queued > readAfter then reply[2] = 1 end
  else
    -- Whether something has lapsed, or the walk has come to the end and begins anew: what there is to do then, is below.
    local isWalkOpen = false
    if inflight > LAPSE_STEP then
      local from = state[10] or '-'
      local hasLapsed, cursor = look(from)
      isWalkOpen = hasLapsed or (cursor == '-' and from ~= '-')
      if not isWalkOpen then
        changed[n + 1], changed[n + 2] = 'lapseCursor', cursor
        n = n + 2
      end
    elseif inflight > 0 then
      isWalkOpen = hasAnyLapsed()
    end
    local answer = not isWalkOpen
      and call('XREADGROUP', 'GROUP', GROUP, INFLIGHT, 'COUNT', ARGV[1], 'STREAMS', log, '>')
    if isWalkOpen or (not answer and held == 0 and call('HLEN', ids) > 0) then
      call('HSET', KEYS[8], unpack(changed))
      break
    end
    if answer then
      local entries, at = answer[1][2], 7
      handedOut, reply[6] = #entries, sub(entries[1][1], 1, 13) + 0
      for i = 1, handedOut do
        local fields = entries[i][2]
        reply[at + 1], reply[at + 2] = fields[2], fields[4]
        at = at + 2
      end
    end
  end
  if handedOut > 0 then
    changed[n + 1], changed[n + 2] = 'delivered', (state[2] or 0) + handedOut
    n, inflight, held = n + 2, inflight + handedOut, held + handedOut
    if handedOut == limit and not isReadAfter and call('HLEN', ids) > held then reply[2] = 1 end
  elseif answeredAtOnce and settled == 0 then
    changed[n + 1], changed[n + 2] = 'idlePolls', (state[9] or 0) + 1
    n = n + 2
  end
  if inflight > 0 then
    local at = (state[5] or 0) + 0
    local sweepInMs = -1
    if now > at + redeliverAfterMs + 5000 and at > 0 then
      sweepInMs = 0
    elseif at == 0 or at > now + redeliverAfterMs then
      sweepInMs = redeliverAfterMs
    end
    if sweepInMs >= 0 then
      reply[3] = sweepInMs
      changed[n + 1], changed[n + 2] = 'sweepAt', now + sweepInMs
    end
  end
  call('HSET', KEYS[8], unpack(changed))
  if isReadAfter then reply[1] = 'page' end
  return reply
until true
