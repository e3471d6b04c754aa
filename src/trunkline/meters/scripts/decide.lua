-- One request: all counters take it, or none does.
-- KEYS: alive, young, then counters. ARGV: the process's name, tokens, nano-dollars, then of each counter its kind and amount:
-- r requests, t tokens, s requests at once, m money (an amount below nothing refuses nobody).
-- Returns "ok" or "no", how many processes are alive, and of each counter: microseconds until it is full, or how many others have, or what was spent, what
-- others reserved, and the seed. Or else why it cannot tell: "forgotten", "young", "unknown" with the place of the budget.
-- Times are microseconds since 2024, as there are fractions of them: an interval need not be a whole number.
local time = redis.call('TIME')
local now = (time[1] - 1704067200) * 1000000 + time[2]
local living = {}
local function alive(name)
  if living[name] == nil then
    local beat = redis.call('ZSCORE', KEYS[1], name)
    living[name] = beat and math.abs(now - beat) < 10000000 or false
  end
  return living[name]
end
-- What others have in a hash by process; those of the dead are removed.
local function held(key, fields, prefix)
  local others, mine = 0, 0
  for f = 1, #fields, 2 do
    local name = string.sub(fields[f], #prefix + 1)
    if string.sub(fields[f], 1, #prefix) ~= prefix then
      name = nil -- something else
    elseif name == ARGV[1] then
      mine = tonumber(fields[f + 1])
    elseif alive(name) then
      others = others + fields[f + 1]
    else
      redis.call('HDEL', key, fields[f])
    end
  end
  return others, mine
end
if not alive(ARGV[1]) then
  return {'forgotten'}
end
local tokens, nano = tonumber(ARGV[2]), tonumber(ARGV[3])
local fits, state = true, {}
local told = {'ok', redis.call('ZCOUNT', KEYS[1], string.format('(%.0f', now - 10000000), string.format('(%.0f', now + 10000000))}
for i = 3, #KEYS do
  local key, kind, amount = KEYS[i], ARGV[2 * i - 2], tonumber(ARGV[2 * i - 1])
  if kind == 'r' or kind == 't' then
    local full = now
    local kept = redis.call('GET', key)
    if kept then
      local at, last = string.match(kept, '^(%S+) (%S+)$')
      -- A clock that was set back: what was taken moves with it.
      full = math.max(at - math.max(last - now, 0), now)
    end
    local count = kind == 'r' and 1 or tokens
    if full - now + math.min(count, amount) * 60000000 / amount > 60000000.5 then
      fits = false
    end
    state[i] = {full, count * 60000000 / amount}
  elseif kind == 's' then
    local others, mine = held(key, redis.call('HGETALL', key), '')
    if others + mine >= amount then
      fits = false
    end
    state[i] = others
  else
    if redis.call('EXISTS', KEYS[2]) == 1 then
      return {'young'}
    end
    local seed = redis.call('HMGET', key, 'b', 's', 'v', 'y')
    if not seed[1] then
      return {'unknown', i - 3}
    end
    if seed[4] and now < tonumber(seed[4]) then
      return {'young'}
    end
    local spent = seed[1] + seed[2]
    local others, mine = held(key, redis.call('HGETALL', key), 'r:')
    if nano > 0 and amount >= 0 and spent + others + mine + nano > amount then
      fits = false
    end
    state[i] = {spent, others, seed[3]}
  end
end
for i = 3, #KEYS do
  local key, kind = KEYS[i], ARGV[2 * i - 2]
  if kind == 'r' or kind == 't' then
    local full = state[i][1]
    if fits then
      full = full + state[i][2]
      redis.call('SET', key, string.format('%.3f %.0f', full, now), 'PX', string.format('%.0f', (full - now) / 1000 + 60000))
    end
    told[#told + 1] = math.ceil(full - now)
  elseif kind == 's' then
    if fits then
      redis.call('HINCRBY', key, ARGV[1], 1)
      redis.call('PEXPIRE', key, 604800000)
    end
    told[#told + 1] = state[i]
  else
    if fits and nano > 0 then
      redis.call('HINCRBY', key, 'r:' .. ARGV[1], ARGV[3])
    end
    told[#told + 1] = string.format('%.0f', state[i][1])
    told[#told + 1] = string.format('%.0f', state[i][2])
    told[#told + 1] = state[i][3]
  end
end
if not fits then
  told[1] = 'no'
end
return told
