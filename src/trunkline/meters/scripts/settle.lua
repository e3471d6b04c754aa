-- What a process settled since it last told, and what it still holds.
-- KEYS: alive, last batch of the process, then counters. ARGV: its name, the number of this batch, the names that it had before
-- and that count no more; then of each counter its kind and four more:
-- t: microseconds to add; s: how many it has; m: nano-dollars to add, how many it reserved, and their seed; the last one of
-- each is how many milliseconds to keep it. What is added is added once, however often the batch comes; what is held is held.
-- Returns "1" where the process is known, else "0"; of each budget what was spent then, or nothing where its seed is another.
local time = redis.call('TIME')
local now = (time[1] - 1704067200) * 1000000 + time[2]
local beat = redis.call('ZSCORE', KEYS[1], ARGV[1])
local known = beat and math.abs(now - beat) < 10000000
local fresh = tonumber(ARGV[2]) > tonumber(redis.call('GET', KEYS[2]) or '0')
if fresh then
  redis.call('SET', KEYS[2], ARGV[2], 'EX', 604800)
end
local told = {known and '1' or '0'}
for i = 3, #KEYS do
  local key, at = KEYS[i], 5 * i - 11
  local kind, add, held, seed, keep = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local field = ARGV[1]
  if kind == 't' then
    local kept = fresh and redis.call('GET', key)
    if kept then
      local full, last = string.match(kept, '^(%S+) (%S+)$')
      full = math.max(full + add, now)
      redis.call('SET', key, string.format('%.3f %s', full, last), 'PX', string.format('%.0f', (full - now) / 1000 + 60000))
    end
  else
    if kind == 'm' then
      field = 'r:' .. ARGV[1]
      local there = redis.call('HMGET', key, 'b', 's', 'v')
      if there[1] and there[3] == seed then
        local since = there[2]
        if fresh and add ~= '0' then
          since = redis.call('HINCRBY', key, 's', add)
        end
        told[#told + 1] = string.format('%.0f', there[1] + since)
      else
        told[#told + 1] = ''
      end
    end
    if known then
      if held == '0' then
        redis.call('HDEL', key, field)
      else
        redis.call('HSET', key, field, held)
      end
    end
    redis.call('PEXPIRE', key, keep)
  end
end
for before in string.gmatch(ARGV[3], '%S+') do
  redis.call('ZREM', KEYS[1], before)
end
return told
