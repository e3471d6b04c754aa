-- A budget that nobody counts yet begins with what the ledger says; the first one who says it wins.
-- KEYS: the budget. ARGV: what was spent before, or nothing to ask only; a new seed; "1" only to raise what is there to that; how many
-- milliseconds to keep it; "1" where it was lost: for three seconds nothing is granted by it, until all said what they hold.
-- Returns what was spent before, what was added since, and the seed.
local before = redis.call('HGET', KEYS[1], 'b')
if ARGV[1] ~= '' then
  if not before and ARGV[3] ~= '1' then
    redis.call('HSET', KEYS[1], 'b', ARGV[1], 's', '0', 'v', ARGV[2])
    if ARGV[5] == '1' then
      local time = redis.call('TIME')
      redis.call('HSET', KEYS[1], 'y', string.format('%.0f', (time[1] - 1704067197) * 1000000 + time[2]))
    end
  elseif before and ARGV[3] == '1' and tonumber(before) < tonumber(ARGV[1]) then
    redis.call('HSET', KEYS[1], 'b', ARGV[1])
  end
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return redis.call('HMGET', KEYS[1], 'b', 's', 'v')
