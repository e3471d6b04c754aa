-- A process begins, or comes back under a new name. What it held under the old one counts until it told that under the new one.
-- KEYS: alive, epoch, young, last batch of the process. ARGV: old name, new name, the epoch it knows, "1" where it was heard of
-- a moment ago, a new epoch. Returns the epoch, how many processes are alive, the last batch that was counted.
local time = redis.call('TIME')
local now = (time[1] - 1704067200) * 1000000 + time[2]
local beat = redis.call('ZSCORE', KEYS[1], ARGV[1])
local gone = not beat or math.abs(now - beat) >= 10000000
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[2]) -- first: where memory is full, all of it fails
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - 86400000000))
local epoch = redis.call('GET', KEYS[2])
if not epoch then
  epoch = ARGV[5]
  redis.call('SET', KEYS[2], epoch)
end
-- Emptied, or set to another time: until all have told what they hold, nobody may be granted money by what is known here.
if (ARGV[3] ~= '' and ARGV[3] ~= epoch) or (ARGV[4] == '1' and gone) then
  redis.call('SET', KEYS[3], '1', 'PX', 3000)
end
local live = redis.call('ZCOUNT', KEYS[1], string.format('(%.0f', now - 10000000), string.format('(%.0f', now + 10000000))
return {epoch, live, redis.call('GET', KEYS[4]) or '0'}
