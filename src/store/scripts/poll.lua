#!lua flags=allow-oom
--[[
  poll.lua: one poll (RFC 8936 §2.2–2.4): settle what is acknowledged or reported, lapse a little, hand out a page.
  One step, so that no SET acknowledged by this request can be in its answer, and a crash at any moment leaves each
  SET either with the receiver's acknowledgement applied or still pending.

  KEYS[1]  stream  log       KEYS[2]  hash    ids       KEYS[3]  hash  why      KEYS[4]  stream  errors
  KEYS[5], KEYS[6]  sets  done:0, done:1      KEYS[7]   stream  acked  KEYS[8]  hash    counts
  KEYS[9]  hash    receiver
  ARGV[1]  limit: SETs wanted, 0 = none            ARGV[2]  bytes of SETs at the most; at least one SET is returned
  ARGV[3]  redeliverAfterMs   ARGV[4]  maxAttempts   ARGV[5]  parkAfterMs   ARGV[6]  retainAckedMs
  ARGV[7]  dedupeWindowMs     ARGV[8]  idle polls a minute at the most, 0 = no limit
  ARGV[9]  1 when the poll is answered at once even if nothing is found
  ARGV[10] expireAfterMs, 0 = never
  ARGV[11] sloMs, 0 = none    ARGV[12] 1 to look at how long one acknowledged SET had been in flight
  ARGV[13] number of acknowledged jtis
  ARGV[14] 1 when XREADGROUP for the limit follows this script in the same transaction: then the page is not read here
  ARGV[15+] the acknowledged jtis; then per report: jti, err, description, language
  Returns  {'unknown'} no such receiver | {'limited', seconds} |
           {'sets', more (0|1), ms until a sweep is wanted or -1, now ms, settled, ms of the oldest SET handed out for the
            first time or -1, ms that one acknowledged SET had been in flight or -1, per SET: jti, token}: nothing else
            came of it, and while there is more, XREADGROUP may follow the script of the next poll for as many |
           {'ok', the same six numbers, reported, parked for attempts, parked as expired,
            {per SET handed out for the first time: jti, token}, {per other SET: jti, token, attempt}}
           When XREADGROUP follows: {'page', the six numbers}, nothing handed out here, and what follows is to be sent; or
           {'again', now ms}: nothing was done, what follows is to be taken back, and the poll is to be repeated without it.
]]
--#include lib/base.lua

local log, ids, why, errors, acked, receiver = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[7], KEYS[9]
-- Numbers by arithmetic, as in clock().
local limit, ackCount = ARGV[1] + 0, ARGV[13] + 0
local redeliverAfterMs, idleMax = ARGV[3] + 0, ARGV[8] + 0
local answeredAtOnce, isReadAfter = ARGV[9] == '1', ARGV[14] == '1'
local firstAck, firstReport = 15, 15 + ackCount
local LAPSE_STEP = 16
local sub = string.sub

local status = call('HGET', receiver, 'status')
if not status then return { 'unknown' } end

local now = clock()
local settled, inFlightMs = 0, -1
-- Of the acknowledged jtis: the entries that they stand for, once they are looked up, and how many of these XACK freed.
local found, freed
-- What XREADGROUP behind this script will hand out: of what the index names and nobody holds, which has not been read.
local readAfter = 0

--#include poll_straight.lua

if isReadAfter and not freed then return { 'again', now } end

--#include lib/pending.lua

local bytesMax, expireAfterMs, sloMs = tonumber(ARGV[2]), tonumber(ARGV[10]), tonumber(ARGV[11])
local counts = openCounts(KEYS[8], {
  'acknowledged', 'delivered', 'bytes', 'setMax', 'sweepAt', 'idleSince', 'idlePolls', 'filter', 'doneSince',
  'doneTurn', 'doneEnds',
})

-- Polls that found nothing and were not held have a budget; beyond it every poll is refused, before it did anything.
if idleMax > 0 then
  local since = numberOf(counts, 'idleSince')
  if now - since >= 60000 or now < since then
    setCount(counts, 'idleSince', now)
    setCount(counts, 'idlePolls', 0)
  elseif numberOf(counts, 'idlePolls') >= idleMax then
    return { 'limited', math.ceil((since + 60000 - now) / 1000) }
  end
end
setCount(counts, 'lastPoll', now)

-- Asked once and kept true by arithmetic where that is exact.
local pending = pendingCounts(log)
if not pending then
  ensureGroup(log, counts)
  pending = pendingCounts(log)
end

-- Reports first: a jti both acknowledged and reported counts as reported. Only what was handed out can be refused,
-- and the first final word counts.
local reported = 0
if firstReport <= #ARGV then
  call('XLEN', errors) -- A wrong type at that key must stop us before the first write.
  local refused, seen = {}, {}
  for place = firstReport, #ARGV, 4 do
    local jti = ARGV[place]
    local id = not seen[jti] and call('HGET', ids, jti)
    seen[jti] = true
    local found = id and call('XPENDING', log, GROUP, id, id, 1)[1]
    local before = found and found[2] == PARKED and call('HGET', why, jti)
    local known = before and cjson.decode(before)
    if found and not (known and (known.reason == 'reported' or known.attempts == 0)) then
      local note = { err = ARGV[place + 1], description = ARGV[place + 2], language = ARGV[place + 3] }
      local attempts = known and known.attempts or tonumber(found[4])
      refused[#refused + 1] = { id = id, jti = jti, attempts = attempts, note = note }
      call('XADD', errors, 'MAXLEN', '~', 100000, '*', 'jti', jti, 'err', note.err,
        'description', note.description, 'language', note.language, 'attempts', attempts)
    end
  end
  reported = park(log, why, refused, 'reported', now)
  add(counts, 'parked:reported', reported)
  pending = pendingCounts(log)
end

-- A late acknowledgement counts for a parked SET too, unless it was reported or never handed out (D-14, D-23).
local function withoutRefused(jtis, entries)
  local openJtis, openEntries, late = {}, {}, {}
  for from = 1, #jtis, UNPACK_MAX do
    local to = math.min(from + UNPACK_MAX - 1, #jtis)
    for i, note in ipairs(call('HMGET', why, unpack(jtis, from, to))) do
      local parked = note and cjson.decode(note)
      if not parked or (parked.reason ~= 'reported' and parked.attempts > 0) then
        local at = from + i - 1
        openJtis[#openJtis + 1], openEntries[#openEntries + 1] = jtis[at], entries[at]
        if parked then late[#late + 1] = jtis[at] end
      end
    end
  end
  callWith(late, 'HDEL', why)
  return openJtis, openEntries
end

-- Some were not pending: named twice, or, behind the last entry that was read, still queued. A guessed jti must not
-- take a SET that was never sent (D-14).
local function onlySent(jtis, entries)
  local readMs, readSeq = parseId(lastRead(log))
  local sentJtis, sentEntries, seen = {}, {}, {}
  for i, id in ipairs(entries) do
    local ms, seq = parseId(id)
    if not seen[id] and (ms < readMs or (ms == readMs and seq <= readSeq)) then
      seen[id] = true
      sentJtis[#sentJtis + 1], sentEntries[#sentEntries + 1] = jtis[i], id
    end
  end
  return sentJtis, sentEntries
end

-- The jtis in ARGV that are known, and the entries that they stand for.
local function acknowledged(first, last)
  if last - first < UNPACK_MAX then
    local found = call('HMGET', ids, unpack(ARGV, first, last))
    local areAllKnown = true
    for i = 1, #found do
      if not found[i] then
        areAllKnown = false
        break
      end
    end
    if areAllKnown then return { unpack(ARGV, first, last) }, found end
  end
  local jtis, entries, n = {}, {}, 0
  for from = first, last, UNPACK_MAX do
    local found = call('HMGET', ids, unpack(ARGV, from, math.min(from + UNPACK_MAX - 1, last)))
    for i = 1, #found do
      if found[i] then
        n = n + 1
        jtis[n], entries[n] = ARGV[from + i - 1], found[i]
      end
    end
  end
  return jtis, entries
end

if ackCount > 0 and settled == 0 then
  local jtis, entries = acknowledged(firstAck, firstReport - 1)
  local n = #jtis
  if n > 0 and not freed and ARGV[12] == '1' then
    local sample = call('XPENDING', log, GROUP, entries[n], entries[n], 1, INFLIGHT)[1]
    if sample then inFlightMs = tonumber(sample[3]) end
  end
  if n > 0 and pending.parked > 0 then jtis, entries = withoutRefused(jtis, entries) end
  local isCountedAfter = freed ~= nil
  freed = freed or callWith(entries, 'XACK', log, GROUP)
  if freed < #entries then jtis, entries = onlySent(jtis, entries) end
  settled = #jtis
  if settled > 0 then
    local windowMs = tonumber(ARGV[7])
    local doneKey = turnDone(counts, { KEYS[5], KEYS[6] }, now, windowMs)
    -- As text: entry ids and this have thirteen digits of ms alike, and few SETs are that old.
    local windowSince = integer(numberOf(counts, 'doneSince'))
    local repeatable, bytes = {}, 0
    for i = 1, settled do
      local id = entries[i]
      -- seqOf, bytesOf and isRepeatable in one: the loop that a page of acknowledgements goes through.
      local seq = sub(id, 15) % SEQ_STEP
      local flag = seq % 2
      bytes = bytes + (seq - flag) / 2
      if flag == 1 and id < windowSince then repeatable[#repeatable + 1] = jtis[i] end
    end
    callWith(jtis, 'HDEL', ids)
    if tonumber(ARGV[6]) > 0 then
      for i = 1, settled do call('XADD', acked, '*', 'id', entries[i], 'jti', jtis[i]) end
    else
      callWith(entries, 'XDEL', log)
    end
    rememberDone(counts, doneKey, repeatable, windowMs)
    add(counts, 'acknowledged', settled)
    if sloMs > 0 then
      local within = 0
      for i = 1, settled do
        if now - parseId(entries[i]) <= sloMs then within = within + 1 end
      end
      add(counts, 'sloWithin', within)
      add(counts, 'sloLate', settled - within)
    end
    setCount(counts, 'bytes', math.max(0, numberOf(counts, 'bytes') - bytes))
    if pending.inflight == pending.total and not isCountedAfter then
      pending.inflight, pending.total = pending.inflight - settled, pending.total - settled
    else
      pending = pendingCounts(log)
    end
  end
end

-- So that redelivery to a receiver that polls needs no job: a step of the walk, and further ones while each entry
-- looked at has lapsed, up to a page. Beyond one step's worth in flight the cursor moves on from poll to poll.
local parkedNow = 0
if pending.inflight > 0 then
  local limits = {
    redeliverAfterMs = redeliverAfterMs,
    maxAttempts = tonumber(ARGV[4]),
    parkAfterMs = tonumber(ARGV[5]),
  }
  local isLong = pending.inflight > LAPSE_STEP
  local from = isLong and textOf(counts, 'lapseCursor') or '-'
  local cursor, wrapped, examined = from, from == '-', 0
  repeat
    local step = lapse(log, why, cursor, LAPSE_STEP, now, limits)
    examined, parkedNow, cursor = examined + step.examined, parkedNow + step.parked, step.cursor
    pending.inflight = pending.inflight - step.due - step.parked
    pending.due, pending.parked = pending.due + step.due, pending.parked + step.parked
    local again = step.due + step.parked == LAPSE_STEP and examined < limit
    if cursor == '-' then
      again = not wrapped and examined < math.max(LAPSE_STEP, limit)
      wrapped = true
    end
  until not again
  if isLong and cursor ~= from then setCount(counts, 'lapseCursor', cursor) end
  add(counts, 'parked:attempts', parkedNow)
end

-- What is too old is not handed out, whether or not a worker has come by; a page's worth a poll.
local expiredNow = 0
if expireAfterMs > 0 then
  expiredNow = expireStep(log, ids, why, counts, 'expired', now - expireAfterMs, math.max(limit, LAPSE_STEP), now)
  if expiredNow > 0 then pending = pendingCounts(log) end
end

local fresh, old, pageBytes, handedOut, again = {}, {}, 0, 0, 0

-- After the group was lost the log is read anew, with what is final or parked in it. Retained SETs are passed over, and
-- what was parked is parked again.
local isFiltered = numberOf(counts, 'filter') == 1
local function isToBeSent(id, jti)
  if call('HGET', ids, jti) ~= id then
    call('XACK', log, GROUP, id)
    return false
  end
  local note = call('HGET', why, jti)
  if note then claim(log, PARKED, { id }, 'RETRYCOUNT', cjson.decode(note).attempts) end
  return not note
end

-- Of the SETs owed again, the oldest; their sizes stand in their ids.
local function takeDue(listed, wanted)
  local chosen, attempts, bytes = {}, {}, pageBytes
  for i = 1, math.min(wanted, #listed) do
    bytes = bytes + bytesOf(seqOf(listed[i][1]))
    if bytes > bytesMax and (handedOut > 0 or #chosen > 0) then break end
    chosen[#chosen + 1] = listed[i][1]
    attempts[listed[i][1]] = tonumber(listed[i][4]) + 1
  end
  if #chosen == 0 then return end
  for _, entry in ipairs(call('XCLAIM', log, GROUP, INFLIGHT, 0, unpack(chosen))) do
    local fields, attempt, n = entry[2], attempts[entry[1]], #old
    -- One that was read behind a script which did not want it, before the group's filter was known, may be final.
    if isToBeSent(entry[1], fields[2]) then
      old[n + 1], old[n + 2], old[n + 3] = fields[2], fields[4], attempt
      pageBytes = pageBytes + #fields[4]
      handedOut = handedOut + 1
      if attempt > 1 then again = again + 1 end
    end
  end
  pending = pendingCounts(log)
end

-- Unseen SETs, in steps that cannot exceed the bytes: none is larger than setMax. Returns true at the end of the log.
local oldestMs = -1
local function takeNew(wanted, most)
  local setMax = math.max(1, numberOf(counts, 'setMax'))
  while wanted > 0 do
    local step = math.min(wanted, math.floor((most - pageBytes) / setMax))
    if step < 1 then
      if handedOut > 0 then return false end
      step = 1
    end
    local answer = call('XREADGROUP', 'GROUP', GROUP, INFLIGHT, 'COUNT', step, 'STREAMS', log, '>')
    local entries = answer and answer[1][2] or {}
    local read, first, bytes = #entries, #fresh, pageBytes
    local n = first
    if read > 0 and oldestMs < 0 then oldestMs = parseId(entries[1][1]) end
    for i = 1, read do
      -- append.lua alone writes entries: jti, set, digest, in this order.
      local fields = entries[i][2]
      if not isFiltered or isToBeSent(entries[i][1], fields[2]) then
        local token = fields[4]
        fresh[n + 1], fresh[n + 2] = fields[2], token
        n, bytes = n + 2, bytes + #token
      end
    end
    local taken = (n - first) / 2
    pageBytes = bytes
    wanted, handedOut = wanted - taken, handedOut + taken
    pending.inflight, pending.total = pending.inflight + taken, pending.total + taken
    if read < step then
      if isFiltered then setCount(counts, 'filter', 0) end
      return true
    end
  end
  return false
end

local seenAll = false
if isReadAfter then
  handedOut = readAfter
  pending.inflight, pending.total = pending.inflight + handedOut, pending.total + handedOut
elseif limit > 0 and status == 'enabled' then
  -- None are listed where all that lapsed just now had been deleted by another hand.
  local due = {}
  if pending.due > 0 and not isFiltered then due = call('XPENDING', log, GROUP, '-', '+', limit, DUE) end
  if #due == 0 then
    -- A log that is read anew brings what is owed again as well: taken from both it would stand twice in the page.
    seenAll = takeNew(limit, bytesMax)
    if isFiltered or pending.due > 0 then pending = pendingCounts(log) end
  else
    -- While unseen SETs wait, at most half of a page, by count and by bytes, is owed again (guarantee 6), and they
    -- leave as much to what is owed.
    local news, newBytes = limit - math.min(math.floor(limit / 2), #due), math.ceil(bytesMax / 2)
    if limit == 1 or bytesOf(seqOf(due[1][1])) > bytesMax - newBytes then
      -- What cannot be halved takes turns.
      local owed = 1 - numberOf(counts, 'alternate')
      setCount(counts, 'alternate', owed)
      news, newBytes = owed == 1 and 0 or limit, bytesMax
    end
    seenAll = takeNew(news, newBytes)
    takeDue(due, limit - handedOut)
    if not seenAll and handedOut < limit and pageBytes < bytesMax then seenAll = takeNew(limit - handedOut, bytesMax) end
  end
end

-- At the end of the log with nothing pending the index names nothing: the entries were deleted by another hand. Left
-- there, they would count as queued, and fill the backlog, for ever.
if seenAll and pending.total == 0 then
  local lost = call('HLEN', ids)
  if lost > 0 then
    call('UNLINK', ids, why)
    setCount(counts, 'bytes', 0)
    add(counts, 'lost', lost)
  end
end
if handedOut > 0 then
  add(counts, 'delivered', handedOut)
  add(counts, 'redelivered', again)
end

local more = 0
if status == 'enabled' and (pending.due > 0 or (not seenAll and call('HLEN', ids) > pending.total)) then more = 1 end

local sweepInMs = -1
if pending.inflight > 0 then
  local at = numberOf(counts, 'sweepAt')
  -- An overdue flag means that its job was lost: what is in flight may have been so for long. One that is further off
  -- than R means that R became shorter.
  if now > at + redeliverAfterMs + 5000 and at > 0 then
    sweepInMs = 0
  elseif at == 0 or at > now + redeliverAfterMs then
    sweepInMs = redeliverAfterMs
  end
  if sweepInMs >= 0 then setCount(counts, 'sweepAt', now + sweepInMs) end
end

if answeredAtOnce and handedOut == 0 and more == 0 and settled == 0 and reported == 0 then add(counts, 'idlePolls', 1) end
saveCounts(counts)
if isReadAfter then return { 'page', more, sweepInMs, now, settled, -1, inFlightMs } end
return {
  'ok', more, sweepInMs, now, settled, oldestMs, inFlightMs, reported, parkedNow, expiredNow, fresh, old,
}
