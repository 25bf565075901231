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
  ARGV[11] number of acknowledged jtis, then these; then per report: jti, err, description, language
  Returns  {'unknown'} no such receiver | {'limited', seconds} |
           {'ok', more (0|1), ms until a sweep is wanted or -1, now ms, settled, reported, parked for attempts, parked as expired,
            {per SET: entry id, jti, token, attempt}}
]]
local log, ids, why, errors, acked, receiver = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[7], KEYS[9]
local doneKeys = { KEYS[5], KEYS[6] }
local limit, bytesMax = tonumber(ARGV[1]), tonumber(ARGV[2])
local limits = {
  redeliverAfterMs = tonumber(ARGV[3]),
  maxAttempts = tonumber(ARGV[4]),
  parkAfterMs = tonumber(ARGV[5]),
}
local retain, windowMs = tonumber(ARGV[6]) > 0, tonumber(ARGV[7])
local idleMax, answeredAtOnce = tonumber(ARGV[8]), ARGV[9] == '1'
local expireAfterMs, ackCount = tonumber(ARGV[10]), tonumber(ARGV[11])
local firstReport = 12 + ackCount
local LAPSE_STEP = 16

local status = redis.call('HGET', receiver, 'status')
if not status then return { 'unknown' } end

local now = clock()
local counts = openCounts(KEYS[8], {
  'acknowledged', 'delivered', 'redelivered', 'parked:attempts', 'parked:reported', 'bytes', 'setMax', 'alternate',
  'parked:expired', 'sweepAt', 'lapseCursor', 'idleSince', 'idlePolls', 'lastPoll', 'filter', unpack(DONE_FIELDS),
})

-- Polls that found nothing and were not held have a budget; beyond it every poll is refused, before it did anything.
if idleMax > 0 then
  if now - counts.number('idleSince') >= 60000 or now < counts.number('idleSince') then
    counts.set('idleSince', now)
    counts.set('idlePolls', 0)
  elseif counts.number('idlePolls') >= idleMax then
    return { 'limited', math.ceil((counts.number('idleSince') + 60000 - now) / 1000) }
  end
end
counts.set('lastPoll', now)

-- The entries that named jtis stand for, each once; unknown jtis fall away.
local function resolve(first, last, step)
  local known, seen = {}, {}
  for from = first, last, step * UNPACK_MAX do
    local names = {}
    for i = from, math.min(from + step * UNPACK_MAX - 1, last), step do names[#names + 1] = ARGV[i] end
    local found = redis.call('HMGET', ids, unpack(names))
    for i, jti in ipairs(names) do
      if found[i] and not seen[jti] then
        seen[jti] = true
        known[#known + 1] = { jti = jti, id = found[i], arg = from + (i - 1) * step }
      end
    end
  end
  return known
end

-- Reports first: a jti both acknowledged and reported counts as reported. Only what was handed out can be refused,
-- and the first final word counts.
local function report()
  if firstReport > #ARGV then return 0 end
  redis.call('XLEN', errors) -- A wrong type at that key must stop us before the first write.
  local reported = {}
  for _, item in ipairs(resolve(firstReport, #ARGV, 4)) do
    local pending = redis.pcall('XPENDING', log, GROUP, item.id, item.id, 1)
    if groupIsMissing(pending) then break end
    local consumer, attempts = pending[1] and pending[1][2], pending[1] and tonumber(pending[1][4])
    local before = consumer == PARKED and redis.call('HGET', why, item.jti)
    local known = before and cjson.decode(before)
    if consumer and not (known and (known.reason == 'reported' or known.attempts == 0)) then
      local err, description, language = ARGV[item.arg + 1], ARGV[item.arg + 2], ARGV[item.arg + 3]
      item.attempts = known and known.attempts or attempts
      item.note = { err = err, description = description, language = language }
      reported[#reported + 1] = item
      redis.call('XADD', errors, 'MAXLEN', '~', 100000, '*', 'jti', item.jti, 'err', err,
        'description', description, 'language', language, 'attempts', integer(item.attempts))
    end
  end
  park(log, why, reported, 'reported', now)
  add(counts, 'parked:reported', #reported)
  return #reported
end

-- A late acknowledgement counts for a parked SET too, unless it was reported or never handed out (D-14, D-23).
local function withoutRefused(known)
  if redis.call('HLEN', why) == 0 or #known == 0 then return known, {} end
  local open, late = {}, {}
  for from = 1, #known, UNPACK_MAX do
    local names = {}
    for i = from, math.min(from + UNPACK_MAX - 1, #known) do names[#names + 1] = known[i].jti end
    for i, note in ipairs(redis.call('HMGET', why, unpack(names))) do
      local parked = note and cjson.decode(note)
      if not parked or (parked.reason ~= 'reported' and parked.attempts > 0) then
        open[#open + 1] = known[from + i - 1]
        if parked then late[#late + 1] = names[i] end
      end
    end
  end
  return open, late
end

local function settle()
  if ackCount == 0 then return 0 end
  local known, late = withoutRefused(resolve(12, 11 + ackCount, 1))
  if #known == 0 then return 0 end
  local entries = {}
  for i, item in ipairs(known) do entries[i] = item.id end
  local freed = inRuns(entries, function(...) return redis.call('XACK', log, GROUP, ...) end)
  if freed < #entries then
    -- Some were not pending. Behind the last entry that was read they are still queued: a guessed jti must not take
    -- a SET that was never sent (D-14).
    local last = lastRead(log)
    if not last then
      ensureGroup(log, counts)
      last = '0-0'
    end
    local readMs, readSeq = parseId(last)
    local sent = {}
    for _, item in ipairs(known) do
      local ms, seq = parseId(item.id)
      if ms < readMs or (ms == readMs and seq <= readSeq) then sent[#sent + 1] = item end
    end
    known, entries = sent, {}
    for i, item in ipairs(known) do entries[i] = item.id end
  end
  if #known == 0 then return 0 end
  local jtis, repeatable, bytes = {}, {}, 0
  for i, item in ipairs(known) do
    local _, seq = parseId(item.id)
    jtis[i] = item.jti
    bytes = bytes + bytesOf(seq)
    if isRepeatable(seq) then repeatable[#repeatable + 1] = item.jti end
  end
  inRuns(jtis, function(...) return redis.call('HDEL', ids, ...) end)
  if #late > 0 then inRuns(late, function(...) return redis.call('HDEL', why, ...) end) end
  if retain then
    for _, item in ipairs(known) do redis.call('XADD', acked, '*', 'id', item.id, 'jti', item.jti) end
  else
    inRuns(entries, function(...) return redis.call('XDEL', log, ...) end)
  end
  rememberDone(turnDone(counts, doneKeys, now, windowMs), repeatable, windowMs)
  add(counts, 'acknowledged', #known)
  counts.set('bytes', math.max(0, counts.number('bytes') - bytes))
  return #known
end

-- So that redelivery to a receiver that polls needs no job: a step of the walk, and further ones while each entry
-- looked at has lapsed, up to a page. The cursor moves on from poll to poll.
local function lapseSome()
  local examined, parked = 0, 0
  local cursor = counts.text('lapseCursor') or '-'
  local wrapped = cursor == '-'
  repeat
    local step = lapse(log, why, cursor, LAPSE_STEP, now, limits)
    if not step then
      ensureGroup(log, counts)
      return 0
    end
    examined, parked = examined + step.examined, parked + step.parked
    cursor = step.cursor
    local again = step.due + step.parked == LAPSE_STEP and examined < limit
    if cursor == '-' and not wrapped then
      wrapped = true
      again = examined < math.max(LAPSE_STEP, limit)
    elseif cursor == '-' then
      again = false
    end
  until not again
  if cursor ~= (counts.text('lapseCursor') or '-') then counts.set('lapseCursor', cursor) end
  add(counts, 'parked:attempts', parked)
  return parked
end

local page, pageBytes, handedOut, again = {}, 0, 0, 0
local function put(entry, attempt)
  -- append.lua alone writes entries: jti, set, digest, in this order.
  local fields, n = entry[2], handedOut * 4
  local token = fields[4]
  page[n + 1], page[n + 2], page[n + 3], page[n + 4] = entry[1], fields[2], token, attempt
  pageBytes = pageBytes + #token
  handedOut = handedOut + 1
end

-- Of the SETs owed again, the oldest; their sizes stand in their ids.
local function takeDue(listed, wanted)
  local chosen, attempts, bytes = {}, {}, pageBytes
  for i = 1, math.min(wanted, #listed) do
    local _, seq = parseId(listed[i][1])
    bytes = bytes + bytesOf(seq)
    if bytes > bytesMax and (handedOut > 0 or #chosen > 0) then break end
    chosen[#chosen + 1] = listed[i][1]
    attempts[listed[i][1]] = tonumber(listed[i][4]) + 1
  end
  if #chosen == 0 then return 0 end
  for _, entry in ipairs(redis.call('XCLAIM', log, GROUP, INFLIGHT, 0, unpack(chosen))) do
    put(entry, attempts[entry[1]])
    if attempts[entry[1]] > 1 then again = again + 1 end
  end
  return #chosen
end

-- Unseen SETs, in steps that cannot exceed the bytes: none is larger than setMax. Returns true at the end of the log.
local function takeNew(wanted)
  local setMax = math.max(1, counts.number('setMax'))
  local filter = counts.text('filter') == '1'
  while wanted > 0 do
    local step = math.min(wanted, math.floor((bytesMax - pageBytes) / setMax))
    if step < 1 then
      if handedOut > 0 then return false end
      step = 1
    end
    local answer = redis.call('XREADGROUP', 'GROUP', GROUP, INFLIGHT, 'COUNT', step, 'STREAMS', log, '>')
    local entries = answer and answer[1][2] or {}
    for _, entry in ipairs(entries) do
      if filter and redis.call('HGET', ids, fieldOf(entry, 'jti')) ~= entry[1] then
        redis.call('XACK', log, GROUP, entry[1])
      else
        put(entry, 1)
        wanted = wanted - 1
      end
    end
    if #entries < step then
      if filter then counts.set('filter', 0) end
      return true
    end
  end
  return false
end

local reported, settled = report(), settle()
local parkedNow = lapseSome()
-- What is too old is not handed out, whether or not a worker has come by; a page's worth a poll.
local expiredNow = 0
if expireAfterMs > 0 then
  expiredNow = expireStep(log, ids, why, counts, 'expired', now - expireAfterMs, math.max(limit, LAPSE_STEP), now)
end
local seenAll = false
if limit > 0 and status == 'enabled' then
  local due = redis.call('XPENDING', log, GROUP, '-', '+', limit, DUE)
  if #due == 0 then
    seenAll = takeNew(limit)
  else
    -- While unseen SETs wait, at most half of a page is owed again, and every second page of one (guarantee 6).
    local quota = math.floor(limit / 2)
    if limit == 1 then
      quota = 1 - counts.number('alternate')
      counts.set('alternate', quota)
    end
    seenAll = takeNew(limit - math.min(quota, #due))
    takeDue(due, limit - handedOut)
    if not seenAll and handedOut < limit and pageBytes < bytesMax then seenAll = takeNew(limit - handedOut) end
  end
end
if handedOut > 0 then
  add(counts, 'delivered', handedOut)
  add(counts, 'redelivered', again)
end

local pending = pendingCounts(log)
local more = 0
if status == 'enabled' then
  local queued = not seenAll and redis.call('HLEN', ids) > pending.total
  if queued or pending.due > 0 then more = 1 end
end

local sweepInMs = -1
if pending.inflight > 0 then
  local at = counts.number('sweepAt')
  -- An overdue flag means that its job was lost.
  if at == 0 or now > at + limits.redeliverAfterMs + 5000 then
    sweepInMs = limits.redeliverAfterMs
    counts.set('sweepAt', now + sweepInMs)
  end
end

if answeredAtOnce and handedOut == 0 and more == 0 and settled == 0 and reported == 0 then add(counts, 'idlePolls', 1) end
counts.save()
return { 'ok', more, sweepInMs, now, settled, reported, parkedNow, expiredNow, page }
