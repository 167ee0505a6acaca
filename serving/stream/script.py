"""What is done in Redis: one script, which finds ids, gives places, and appends. It counts nothing.

Keys, all under one prefix: `order` has the last place, `stream` the entries by their sequence, `ids` what became of
every id, `keys` the members' keys by slot, `aliases` their slots by number, `records` what was decided, and `about` of
which deployment it is.
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = "shepherd:"
ORDER, STREAM, IDS, KEYS, ALIASES, RECORDS, ABOUT = (
    PREFIX + name for name in ("order", "stream", "ids", "keys", "aliases", "records", "about")
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
local last = redis.call('HMGET', order, 'sequence', 'seen_at')
local sequence, seen_at = tonumber(last[1] or '0'), tonumber(last[2] or '0')
if sequence < applied then
  return redis.error_reply('BEHIND the stream ends with entry ' .. string.format('%.0f', sequence))
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

FORGOTTEN: Final = "forgotten"
"""The log of the entries that tell of a forgotten member."""
