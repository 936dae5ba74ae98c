/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/relay/relay_redis_scripts.h"

#include "lib/relay/relay_redis_command.h"

/* clang-format off */

/* The names of keys in a generation, and in the one that counts. */
#define NAMES \
    "local P = ARGV[1]\n" \
    "local function tail(g) if g == '0' then return '' end return '.' .. g end\n" \
    "local function key_in(g, a) return P .. 'relay' .. tail(g) .. ':' .. a end\n" \
    "local function index_in(g) return P .. 'relay-index' .. tail(g) end\n" \
    "local state = redis.call('GET', P .. 'relay-state') or '0'\n" \
    "local G = string.match(state, '^%d+') or '0'\n" \
    "local index = index_in(G)\n" \
    "local function key(a) return key_in(G, a) end\n" \
    "local function get(k)\n" \
    "  local v = redis.pcall('GET', k)\n" \
    "  return type(v) == 'string' and v or false\n" \
    "end\n" \
    "local function date_of(v) return v and tonumber(string.match(v, '^%d+')) end\n" \
    "local function user_of(v)\n" \
    "  local u = v and string.match(v, ' user=(%S+)')\n" \
    "  return u and string.lower(u)\n" \
    "end\n"

/* Entries whose window is over go with their keys: one that has no expiry, as a window of 0 leaves it, must not outlive its place in the index. */
#define FORGET \
    "local function forget(bound)\n" \
    "  local old = redis.call('ZRANGEBYSCORE', index, '-inf', bound, 'LIMIT', 0, 500)\n" \
    "  for _, a in ipairs(old) do\n" \
    "    redis.call('DEL', key(a))\n" \
    "    redis.call('ZREM', index, a)\n" \
    "  end\n" \
    "  return #old\n" \
    "end\n"

#define KEEP \
    "local function keep(g, a, v, date, window)\n" \
    "  redis.call('SET', key_in(g, a), v)\n" \
    "  if window > 0 then redis.call('EXPIREAT', key_in(g, a), date + window) end\n" \
    "  redis.call('ZADD', index_in(g), date, a)\n" \
    "end\n"

/*
 * The most that is remembered of a user are 16 addresses beyond the limit; the oldest that was not granted goes first. Whose limit is passed just now
 * is marked as one whose entries are to be looked for among all, until that is done: who asks for it may lose this answer, or the connection later.
 */
static const char login[] =
    NAMES KEEP FORGET
    "local addr, value, date, window = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])\n"
    "local now, mode, user, limit = tonumber(ARGV[6]), ARGV[8], ARGV[10], tonumber(ARGV[11])\n"
    "local excess, period = ARGV[12], tonumber(ARGV[13])\n"
    "local book = P .. 'relay-user:' .. user\n"
    "local old = get(key(addr))\n"
    "local count, fresh, removed, expired = 0, 0, 0, 0\n"
    "local known, seen, granted = nil, math.min(date, now), false\n"
    "local counts = limit > 0 and user ~= '' and mode ~= 'add'\n"
    "local function note(a, at, mark)\n"
    "  redis.call('HSET', book, a, at .. (mark and ' g' or ''))\n"
    "end\n"
    "if counts then\n"
    "  known = redis.call('HGETALL', book)\n"
    "  local first, first_at, first_mark = nil, 0, true\n"
    "  fresh = 1\n"
    "  for i = 1, #known, 2 do\n"
    "    local at = date_of(known[i + 1]) or 0\n"
    "    local mark = string.find(known[i + 1], 'g', 1, true) ~= nil\n"
    "    if at <= now - period then\n"
    "      redis.call('HDEL', book, known[i])\n"
    "    elseif known[i] == addr then\n"
    "      fresh, granted, seen = 0, mark, math.max(at, seen)\n"
    "    else\n"
    "      count = count + 1\n"
    "      if not first or (first_mark and not mark) or (first_mark == mark and at < first_at) then\n"
    "        first, first_at, first_mark = known[i], at, mark\n"
    "      end\n"
    "    end\n"
    "  end\n"
    "  if fresh == 1 and count >= limit + 16 then\n"
    "    redis.call('HDEL', book, first)\n"
    "    count = count - 1\n"
    "  end\n"
    "  count = count + 1\n"
    "  note(addr, seen, granted)\n"
    "  redis.call('EXPIRE', book, period)\n"
    "end\n"
    "if counts and mode == 'login' and count > limit then\n"
    "  if excess == 'refuse' and not granted then return {'excess', count, fresh, 0, 0} end\n"
    "  if excess == 'withdraw' then\n"
    "    local marker = P .. 'relay-disown:' .. user\n"
    "    if fresh == 1 and count == limit + 1 then redis.call('SET', marker, 1, 'EX', period) end\n"
    "    for i = 1, #known, 2 do\n"
    "      local at = date_of(known[i + 1]) or 0\n"
    "      if at > now - period and redis.call('HEXISTS', book, known[i]) == 1 then note(known[i], at) end\n"
    "      if user_of(get(key(known[i]))) == user then\n"
    "        redis.call('DEL', key(known[i]))\n"
    "        redis.call('ZREM', index, known[i])\n"
    "        removed = removed + 1\n"
    "      end\n"
    "    end\n"
    "    note(addr, seen)\n"
    "    if user_of(get(key(addr))) == user then\n"
    "      redis.call('DEL', key(addr))\n"
    "      redis.call('ZREM', index, addr)\n"
    "      removed = removed + 1\n"
    "    end\n"
    "    return {redis.call('EXISTS', marker) == 1 and 'disown' or 'excess', count, fresh, removed, 0}\n"
    "  end\n"
    "end\n"
    "if old then\n"
    "  local at = date_of(old) or -1\n"
    "  if (mode == 'login' and at > date) or (mode == 'merge' and at >= date) then\n"
    "    if counts then note(addr, seen, true) end\n"
    "    return {'kept', count, fresh, 0, 0}\n"
    "  end\n"
    "else\n"
    "  if window > 0 then expired = forget(now - window) end\n"
    "  if redis.call('ZCARD', index) >= tonumber(ARGV[7]) and not redis.call('ZSCORE', index, addr) then\n"
    "    return {'full', count, fresh, 0, expired}\n"
    "  end\n"
    "end\n"
    "keep(G, addr, value, date, window)\n"
    "if ARGV[9] ~= '' and not string.find(state .. ' ', ' ' .. ARGV[9] .. ' ', 1, true) then\n"
    "  redis.call('SET', P .. 'relay-state', state .. ' ' .. ARGV[9])\n"
    "end\n"
    "if counts then note(addr, seen, true) end\n"
    "return {'taken', count, fresh, 0, expired}\n";

static const char touch[] =
    NAMES KEEP
    "local addr, date, window = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])\n"
    "local old = get(key(addr))\n"
    "if not old then return 0 end\n"
    "local at = date_of(old)\n"
    "if not at then return 0 end\n"
    "if at < date then\n"
    "  keep(G, addr, string.gsub(old, '^%d+', ARGV[3], 1), date, window)\n"
    "  local user = user_of(old)\n"
    "  if user then\n"
    "    local book = P .. 'relay-user:' .. user\n"
    "    local seen = redis.call('HGET', book, addr)\n"
    "    if seen and (date_of(seen) or 0) < date then\n"
    "      redis.call('HSET', book, addr, (string.gsub(seen, '^%d+', ARGV[3], 1)))\n"
    "      if window > 0 then redis.call('EXPIRE', book, window) end\n"
    "    end\n"
    "  end\n"
    "end\n"
    "return 1\n";

static const char remove_entry[] =
    NAMES
    "redis.call('ZREM', index, ARGV[2])\n"
    "return redis.call('DEL', key(ARGV[2]))\n";

static const char charge[] =
    "local k = ARGV[1] .. 'relay-sent:' .. ARGV[2]\n"
    "local n = tonumber(redis.call('GET', k) or '0')\n"
    "if n >= tonumber(ARGV[3]) then return 0 end\n"
    "if n == 0 then redis.call('SET', k, 1, 'EX', 3600) else redis.call('INCR', k) end\n"
    "return 1\n";

static const char sweep[] =
    NAMES FORGET
    "return forget(ARGV[2])\n";

static const char expire[] =
    NAMES
    "local old = redis.call('ZRANGEBYSCORE', index, '-inf', ARGV[2], 'LIMIT', 0, 500)\n"
    "local removed = 0\n"
    "for _, a in ipairs(old) do\n"
    "  removed = removed + redis.call('DEL', key(a))\n"
    "  redis.call('ZREM', index, a)\n"
    "end\n"
    "return {#old, removed}\n";

static const char renew[] =
    NAMES
    "local window = tonumber(ARGV[3])\n"
    "local page = redis.call('ZSCAN', index, ARGV[2], 'COUNT', 200)\n"
    "for i = 1, #page[2], 2 do\n"
    "  local k = key(page[2][i])\n"
    "  if redis.call('EXISTS', k) == 0 then redis.call('ZREM', index, page[2][i])\n"
    "  elseif window > 0 then redis.call('EXPIREAT', k, tonumber(page[2][i + 1]) + window)\n"
    "  else redis.call('PERSIST', k) end\n"
    "end\n"
    "return page[1]\n";

/* Where the mark is gone somebody else has come to the end. */
static const char disown[] =
    NAMES
    "local marker = P .. 'relay-disown:' .. ARGV[3]\n"
    "if redis.call('EXISTS', marker) == 0 then return {'0', 0} end\n"
    "local page = redis.call('ZSCAN', index, ARGV[2], 'COUNT', 200)\n"
    "local removed = 0\n"
    "for i = 1, #page[2], 2 do\n"
    "  local k = key(page[2][i])\n"
    "  if user_of(get(k)) == ARGV[3] then\n"
    "    removed = removed + redis.call('DEL', k)\n"
    "    redis.call('ZREM', index, page[2][i])\n"
    "  end\n"
    "end\n"
    "if page[1] == '0' then redis.call('DEL', marker) end\n"
    "return {page[1], removed}\n";

static const char begin[] =
    NAMES
    "local n = redis.call('INCR', P .. 'relay-number')\n"
    "if n <= tonumber(G) then\n"
    "  n = tonumber(G) + 1\n"
    "  redis.call('SET', P .. 'relay-number', n)\n"
    "end\n"
    "redis.call('ZADD', P .. 'relay-old', ARGV[2], n)\n"
    "return n\n";

static const char fill[] =
    NAMES KEEP
    "local window = tonumber(ARGV[3])\n"
    "for i = 4, #ARGV, 3 do keep(ARGV[2], ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), window) end\n"
    "return (#ARGV - 3) / 3\n";

static const char switch_over[] =
    NAMES
    "local count = redis.call('ZCARD', index)\n"
    "redis.call('SET', P .. 'relay-state', ARGV[2] .. ARGV[4])\n"
    "redis.call('ZREM', P .. 'relay-old', ARGV[2])\n"
    "redis.call('ZADD', P .. 'relay-old', ARGV[3], G)\n"
    "return {G, count}\n";

static const char drop[] =
    NAMES
    "if ARGV[2] == G then\n"
    "  redis.call('ZREM', P .. 'relay-old', G)\n"
    "  return 0\n"
    "end\n"
    "local set = index_in(ARGV[2])\n"
    "local old = redis.call('ZRANGE', set, 0, 499)\n"
    "for _, a in ipairs(old) do redis.call('DEL', key_in(ARGV[2], a)) end\n"
    "redis.call('ZREMRANGEBYRANK', set, 0, 499)\n"
    "if #old == 0 then redis.call('ZREM', P .. 'relay-old', ARGV[2]) end\n"
    "return #old\n";

static const char old_generations[] =
    "return redis.call('ZRANGEBYSCORE', ARGV[1] .. 'relay-old', '-inf', ARGV[2], 'LIMIT', 0, 100)\n";

static const char count_young[] =
    NAMES
    "return redis.call('ZCOUNT', index, ARGV[2], '+inf')\n";

static const char next_page[] =
    NAMES
    "local page = redis.call('ZSCAN', index, ARGV[2], 'COUNT', 200)\n"
    "local out = {page[1], G}\n"
    "for i = 1, #page[2], 2 do\n"
    "  local v = get(key(page[2][i]))\n"
    "  if v then\n"
    "    out[#out + 1] = page[2][i]\n"
    "    out[#out + 1] = v\n"
    "  end\n"
    "end\n"
    "return out\n";

static const char probe[] =
    "redis.call('SET', ARGV[1] .. 'relay-probe', 1, 'EX', 60)\n"
    "return 1\n";

/* clang-format on */

static const char *const scripts[RELAY_REDIS_SCRIPTS] = {
    [RELAY_REDIS_LOGIN] = login,         [RELAY_REDIS_TOUCH] = touch,
    [RELAY_REDIS_REMOVE] = remove_entry, [RELAY_REDIS_CHARGE] = charge,
    [RELAY_REDIS_SWEEP] = sweep,         [RELAY_REDIS_EXPIRE] = expire,
    [RELAY_REDIS_RENEW] = renew,         [RELAY_REDIS_DISOWN] = disown,
    [RELAY_REDIS_BEGIN] = begin,         [RELAY_REDIS_FILL] = fill,
    [RELAY_REDIS_SWITCH] = switch_over,  [RELAY_REDIS_DROP] = drop,
    [RELAY_REDIS_OLD] = old_generations, [RELAY_REDIS_COUNT] = count_young,
    [RELAY_REDIS_PAGE] = next_page,      [RELAY_REDIS_PROBE] = probe,
};

void relay_redis_script_begin(struct strbuf *out, enum relay_redis_script script,
                              const char *prefix, size_t count)
{
    relay_redis_command_begin(out, count + 4);
    relay_redis_command_text(out, "EVAL");
    relay_redis_command_text(out, scripts[script]);
    relay_redis_command_text(out, "0");
    relay_redis_command_text(out, prefix);
}
