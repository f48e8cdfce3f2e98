-- Exchange one process's state with the fleet's: record what it holds and wants, and grant starts.
--
-- Everything is in one hash, so that it is flushed, lost and restored as a whole:
--   tat    when the next start is due (the "theoretical arrival time" of a GCRA), µs
--   heard  when any process last reported, µs
--   epoch  since when reports have arrived without a gap, µs
--   p:ID   for each process: slots held, starts wanted, last report, starts served so far
-- All times are this server's.
local key = KEYS[1]
local id, held, wanted, returned = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local live, slots, interval = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local lease, fresh = tonumber(ARGV[8]), tonumber(ARGV[9])
local horizon, tolerance, poll = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local state, others = { tat = 0, heard = 0, epoch = 0 }, {}
local me = { wanted = 0, served = 0 }
local fields = redis.call('HGETALL', key)
for i = 1, #fields, 2 do
  local name, value = fields[i], fields[i + 1]
  if string.sub(name, 1, 2) == 'p:' then
    local h, w, heard, served = string.match(value, '^(%d+) (%d+) (%d+) (%d+)$')
    local process = h and { held = h + 0, wanted = w + 0, heard = heard + 0, served = served + 0 }
    if not process then
      redis.call('HDEL', key, name)
    elseif name == 'p:' .. id then
      me = process
    else
      others[name] = process
    end
  elseif state[name] then
    state[name] = tonumber(value) or 0
  end
end

-- If no process has reported for `fresh` µs, the hash was flushed or Redis was unavailable: its
-- content is out of date.
local is_new = now - state.heard > fresh or state.heard > now + fresh
if is_new then state.epoch = now end
for name, process in pairs(others) do
  if is_new or now - process.heard > lease then
    redis.call('HDEL', key, name)
    others[name] = nil
  end
end

local known, used, active, waiting, least = 1, held, 1, 1, nil
for _, process in pairs(others) do
  known, used = known + 1, used + process.held
  process.waits = process.wanted > 0 and now - process.heard <= fresh
  if process.waits then
    waiting = waiting + 1
    least = math.min(least or process.served, process.served)
  end
  if process.waits or process.held > 0 then active = active + 1 end
end
local fleet = math.max(live, known)
-- A process that is new, or wanted nothing before, gets no credit for what others were served.
if me.wanted == 0 and least then me.served = math.max(me.served, least) end

local slot_part = math.max(1, math.floor(slots / active))

-- Return this process's part of `free`. Within its own part, it leaves to each waiting process that
-- was served less what that one is due, at most one part each. Beyond its own part, it leaves what
-- all waiting processes are due.
local function fair(free, part, ours, due_of)
  local before_us, all = 0, 0
  for _, process in pairs(others) do
    local due = process.waits and math.max(0, math.min(process.wanted, due_of(process, part))) or 0
    all = all + due
    if process.served < me.served then before_us = before_us + due end
  end
  local first = math.max(0, math.min(wanted, part - ours, free - before_us))
  return first + math.max(0, math.min(wanted - first, free - first - all))
end

local function slots_due(process, part)
  return part - process.held
end

-- A start is kept only for a process that is also due a slot. Otherwise two processes might wait
-- for each other, one for a slot and one for a start.
local function starts_due(process, part)
  return (slots == 0 or process.held < slot_part) and part or 0
end

local grant, again = wanted, 0
if slots > 0 then
  -- Live processes that have not reported use their own part of the limit. After a gap, no slot is
  -- granted until all had time to report: what they hold is unknown.
  local missing = fleet - known
  local free = slots - used - math.floor(missing * slots / fleet)
  if missing > 0 and now - state.epoch < fresh then free = 0 end
  grant = math.min(grant, fair(free, slot_part, held, slots_due))
  if grant < wanted then again = poll end
end

local start = now
if interval > 0 then
  interval = interval * fleet / known
  local tat = state.tat - returned * interval
  -- If the clock went back, the fleet must not stop.
  if tat > now + horizon + 2 * interval + 1000000 then tat = now end
  start = math.max(tat, now - tolerance)
  local room = math.floor((now + horizon - start) / interval) + 1
  local part = math.max(1, math.floor(horizon / interval / waiting))
  grant = math.min(grant, fair(room, part, 0, starts_due))
  state.tat = start + grant * interval
  if grant < wanted and again == 0 then
    again = state.tat - horizon / 2 - now
    if again <= 0 then again = poll end
  end
end

redis.call('HSET', key, 'tat', string.format('%.3f', state.tat), 'heard', string.format('%.0f', now),
  'epoch', string.format('%.0f', state.epoch),
  'p:' .. id, string.format('%.0f %.0f %.0f %.0f', held + grant, wanted - grant, now,
    me.served + grant))
redis.call('PEXPIRE', key, math.ceil(lease / 1000))
return { grant, math.floor(start - now), math.floor(interval), math.ceil(again) }
