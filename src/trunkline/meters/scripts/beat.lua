-- A process is alive, and wants to know what was spent of budgets that it uses.
-- KEYS: alive, budgets. ARGV: its name. Returns how many are alive, 0 where it is not known any more; of each budget what was
-- spent, what others reserved, and its seed, or three times nothing.
local time = redis.call('TIME')
local now = (time[1] - 1704067200) * 1000000 + time[2]
local function alive(name)
  local beat = redis.call('ZSCORE', KEYS[1], name)
  return beat and math.abs(now - beat) < 10000000
end
if not alive(ARGV[1]) then
  return {0}
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
local told = {redis.call('ZCOUNT', KEYS[1], string.format('(%.0f', now - 10000000), string.format('(%.0f', now + 10000000))}
for i = 2, #KEYS do
  local before, since, seed, others = nil, 0, '', 0
  local fields = redis.call('HGETALL', KEYS[i])
  for f = 1, #fields, 2 do
    local name, value = fields[f], fields[f + 1]
    if name == 'b' then
      before = value
    elseif name == 's' then
      since = value
    elseif name == 'v' then
      seed = value
    elseif name ~= 'r:' .. ARGV[1] and alive(string.sub(name, 3)) then
      others = others + value
    end
  end
  told[#told + 1] = before and string.format('%.0f', before + since) or ''
  told[#told + 1] = string.format('%.0f', others)
  told[#told + 1] = seed
end
return told
