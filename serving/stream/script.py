"""What is done in Redis: one script, which finds ids, gives places, and appends. It counts nothing.

Keys, all under one prefix: `order` has the last place and the last that was let go of, `stream` the entries by their
sequence, `ids` what became of every id, `keys` the members' keys by slot, `aliases` their slots by number, `records`
what was decided, `kept` what each scorer has on its disk, and `about` of which deployment it is.
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = "shepherd:"
ORDER, STREAM, IDS, KEYS, ALIASES, RECORDS, KEPT, ABOUT = (
    PREFIX + name for name in ("order", "stream", "ids", "keys", "aliases", "records", "kept", "about")
)
NAMES: Final = (ORDER, STREAM, IDS, KEYS, ALIASES, RECORDS)
"""The keys of the script, in its order."""

NEW, KNOWN, OTHER_KEY, NOT_YET = b"N", b"D", b"K", b"-"
"""What became of an entry: appended; its id came before; a member's key is another; fresh, its group refused."""

TURN: Final = """
local order, stream, ids, keys, aliases, records = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local at = 0
local function word()
  at = at + 1
  return ARGV[at]
end
local applied, most, scorer, groups = tonumber(word()), word(), word(), tonumber(word())
local last = redis.call('HMGET', order, 'sequence', 'seen_at', 'let_go')
local sequence, seen_at, let_go = tonumber(last[1] or '0'), tonumber(last[2] or '0'), tonumber(last[3] or '0')
if sequence < applied then
  return redis.error_reply('BEHIND the stream ends with entry ' .. string.format('%.0f', sequence))
end
if let_go > applied then
  return redis.error_reply('TRIMMED the stream begins after entry ' .. string.format('%.0f', let_go))
end
local missed = redis.call('XRANGE', stream, string.format('%.0f', applied + 1) .. '-0', '+', 'COUNT', most)
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local results = {}
for group = 1, groups do
  local fresh, told, refused = {}, {}, false
  for place = 1, tonumber(word()) do
    local entry = {log = word(), id = word(), mark = word(), payload = word(), request = word(), record = word()}
    entry.keys = {}
    local known = redis.call('HGET', ids, entry.id)
    for key = 1, tonumber(word()) do
      local slot, row, drawn = word(), word(), word()
      local there = redis.call('HGET', keys, slot)
      if there ~= row and not known then
        if there or drawn == '0' then
          told[place] = {'K', slot, there or ''}
          refused = true
        else
          entry.keys[#entry.keys + 1] = {slot, row}
        end
      end
    end
    if known then
      told[place] = {'D', known}
      refused = refused or string.sub(known, 1, 16) ~= string.sub(entry.mark, 1, 16)
    elseif not told[place] then
      told[place] = {'-'}
      fresh[#fresh + 1] = {place, entry}
    end
  end
  if not refused then
    for _, one in ipairs(fresh) do
      local place, entry = one[1], one[2]
      sequence, seen_at = sequence + 1, math.max(now, seen_at + 1)
      local mine, instant = string.format('%.0f', sequence), string.format('%.0f', seen_at)
      for _, key in ipairs(entry.keys) do
        redis.call('HSET', keys, key[1], key[2])
        redis.call('HSET', aliases, string.sub(key[2], 1, 8), key[1])
      end
      redis.call('HSET', ids, entry.id, entry.mark .. mine)
      if entry.record ~= '' then
        redis.call('HSETNX', records, entry.id, entry.record)
      end
      redis.call('XADD', stream, mine .. '-0', 't', instant, 'o', scorer, 'l', entry.log, 'i', entry.id,
        'm', entry.mark, 'p', entry.payload, 'q', entry.request)
      told[place] = {'N', mine, instant}
    end
    if #fresh > 0 then
      redis.call('HSET', order, 'sequence', string.format('%.0f', sequence), 'seen_at', string.format('%.0f', seen_at))
    end
  end
  results[group] = told
end
return {last[1] or '0', missed, results}
"""
"""Appends entries in groups of all or nothing, and answers what a scorer has missed before them.

Arguments: the last sequence that the scorer took in; how many entries it wants at most; its name; the number of groups;
for each group the number of its entries; for each entry its log, id, mark (digest, masked owner), sealed events, sealed
request, sealed record, the number of members that it names, and for each of these slot, key and whether it was drawn
just now.
"""

FORGET: Final = """
local order, stream, keys, aliases = KEYS[1], KEYS[2], KEYS[4], KEYS[5]
local row = redis.call('HGET', keys, ARGV[1])
if not row then
  return 0
end
redis.call('HDEL', keys, ARGV[1])
redis.call('HDEL', aliases, string.sub(row, 1, 8))
local last = redis.call('HMGET', order, 'sequence', 'seen_at')
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local mine = string.format('%.0f', tonumber(last[1] or '0') + 1)
local instant = string.format('%.0f', math.max(now, tonumber(last[2] or '0') + 1))
redis.call('XADD', stream, mine .. '-0', 't', instant, 'o', '', 'l', 'forgotten', 'i', ARGV[1],
  'm', '', 'p', '', 'q', '')
redis.call('HSET', order, 'sequence', mine, 'seen_at', instant)
return 1
"""
"""Deletes a member's key by its slot and tells every scorer so in the stream; answers whether there was one."""

REPORT: Final = """
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. time[1])
"""
"""Notes up to which sequence a scorer needs the stream no more, and that it is there; its name and the sequence."""

TRIM: Final = """
local order, stream, ids, records, kept = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local seconds, silence, most = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = tonumber(time[1])
local upto = nil
local told = redis.call('HGETALL', kept)
for place = 1, #told, 2 do
  local sequence, at = string.match(told[place + 1], '(%d+) (%d+)')
  if now - tonumber(at) > silence then
    redis.call('HDEL', kept, told[place])
  elseif upto == nil or tonumber(sequence) < upto then
    upto = tonumber(sequence)
  end
end
if upto == nil or upto == 0 then
  return 0
end
local entries = redis.call('XRANGE', stream, '-', string.format('%.0f', upto) .. '-0', 'COUNT', most)
local gone, last, seen_at = 0, nil, nil
for _, one in ipairs(entries) do
  local fields = {}
  for place = 1, #one[2], 2 do
    fields[one[2][place]] = one[2][place + 1]
  end
  if tonumber(fields.t) > (now - seconds) * 1000000 then
    break
  end
  local mine = string.match(one[1], '%d+')
  if fields.l ~= 'forgotten' then
    local known = redis.call('HGET', ids, fields.i)
    if known and string.sub(known, 25) == mine then
      redis.call('HDEL', ids, fields.i)
      redis.call('HDEL', records, fields.i)
    end
  end
  gone, last, seen_at = gone + 1, mine, fields.t
end
if gone > 0 then
  redis.call('XTRIM', stream, 'MINID', string.format('%.0f', tonumber(last) + 1) .. '-0')
  redis.call('HSET', order, 'let_go', last, 'let_go_at', seen_at)
end
return gone
"""
"""Lets go of the oldest entries with their ids and records, and answers of how many.

Only of those that every scorer has on its disk and that are older than some seconds; a scorer of which nothing was
heard for longer than the silence does not count any more. Arguments: seconds, silence, how many at most.
"""

FORGOTTEN: Final = "forgotten"
"""The log of the entries that tell of a forgotten member."""
