-- SPDX-License-Identifier: Apache-2.0
--- Texts that come in any order, each for a place, and are given back place by place: what is put and loaded into a
--- savepoint comes as a script says it, and is written by key group (`weir.internal.recast`).
---
---   new ──▶ add … add ──▶ each … each ──▶ close
---
--- ROOM_BYTES of them are held as bytes, since the collector would walk as many strings again and again; then all that
--- are held go to the end of a file, those of a place as a segment that says where the place's segment before it is. So
--- the memory that is needed depends neither on how many texts there are nor on how many segments. The file is open
--- once, however many places there are, and has no name from its first moment on: whatever happens, it leaves nothing
--- behind. It is made where the new savepoint will be, on a disk that has to have room for the same values anyway.

local ffi = require "ffi"
local border = require "weir.internal.border"

local cast, copy, ffistr = ffi.cast, ffi.copy, ffi.string
local cu8p, u32p = border.cu8p, border.u32p

local M = {}

local ROOM_BYTES = 4 * 2 ^ 20

local Text = ffi.typeof "struct { uint32_t next; uint32_t len; }" -- in the room: `next` of its place, 0 = none yet
local textp, TEXT = ffi.typeof("$ *", Text), ffi.sizeof(Text)
local Segment = ffi.typeof "struct { int64_t before; uint64_t len; }" -- in the file: −1 = it is the first
local segmentp, SEGMENT = ffi.typeof("const $ *", Segment), ffi.sizeof(Segment)

---@class weir.internal.Spool
local methods = {}
local Spool = { __index = methods }

---@param path string of the file, should there be too much
function M.new(path)
  return setmetatable({
    path = path, count = 0,
    room = nil, room_bytes = 0, used = 0, first = {}, newest = {}, bytes = {}, -- held, by place
    file = nil, file_bytes = 0, segments = {}, -- the newest one, by place
    segment = Segment(),
  }, Spool)
end

--- The first one of `count` new places.
---@param count integer
---@return integer
function methods:places(count)
  local first = self.count
  self.count = first + count
  return first
end

---------------------------------------------------------------- what is held

-- The texts of a place, each behind its length.
local function held(self, place)
  local len = self.bytes[place] or 0
  local out, at, from = ffi.new("uint8_t[?]", len), 0, self.first[place]
  while at < len do
    local text = cast(textp, self.room + from)
    copy(out + at, self.room + from + 4, 4 + text.len)
    at, from = at + 4 + text.len, text.next
  end
  return ffistr(out, len)
end

local function check(self, ok, err)
  if not ok then error(("%s: %s"):format(self.path, err), 0) end
end

local function spill(self)
  if not self.file then
    local file, err = io.open(self.path, "w+b")
    if not file then error(err, 0) end
    os.remove(self.path)
    self.file = file
  end
  local segment = self.segment
  for place, len in pairs(self.bytes) do
    segment.before, segment.len = self.segments[place] or -1, len
    check(self, self.file:write(ffistr(segment, SEGMENT), held(self, place)))
    self.segments[place] = self.file_bytes
    self.file_bytes = self.file_bytes + SEGMENT + len
  end
  check(self, self.file:flush())
  self.used, self.first, self.newest, self.bytes = 0, {}, {}, {}
end

local function make_room(self, need)
  if self.used > 0 then spill(self) end
  if need <= self.room_bytes then return end
  self.room_bytes = math.max(need, ROOM_BYTES)
  self.room = ffi.new("uint8_t[?]", self.room_bytes)
end

--- Adds a text, which comes in three parts.
---@param place integer
---@param a string
---@param b string
---@param c string
function methods:add(place, a, b, c)
  local a_len, b_len, c_len = #a, #b, #c
  local len = a_len + b_len + c_len
  local need = TEXT + len + (-len) % 4
  if self.used + need > self.room_bytes then make_room(self, need) end
  local at, newest = self.used, self.newest[place]
  local to = self.room + at
  local text = cast(textp, to)
  text.next, text.len = 0, len
  to = to + TEXT
  copy(to, a, a_len)
  copy(to + a_len, b, b_len)
  copy(to + a_len + b_len, c, c_len)
  if newest then cast(textp, self.room + newest).next = at else self.first[place] = at end
  self.newest[place], self.bytes[place] = at, (self.bytes[place] or 0) + 4 + len
  self.used = at + need
end

---------------------------------------------------------------- what is given back

local function read(self, at, len)
  check(self, self.file:seek("set", at))
  local bytes, err = self.file:read(len)
  check(self, bytes and #bytes == len, err or "it is shorter than what was written")
  return bytes
end

-- Where the segments of a place are, the newest first, and their lengths.
local function segments_of(self, place)
  local starts, lengths, at = {}, {}, self.segments[place] or -1
  while at >= 0 do
    local segment = cast(segmentp, read(self, at, SEGMENT))
    starts[#starts + 1], lengths[#lengths + 1] = at + SEGMENT, tonumber(segment.len)
    at = tonumber(segment.before)
  end
  return starts, lengths
end

local function each_text(bytes, fn)
  local p, at = cast(cu8p, bytes), 0
  while at < #bytes do
    local len = cast(u32p, p + at)[0]
    fn(ffistr(p + at + 4, len))
    at = at + 4 + len
  end
end

--- Calls fn(text) for all of a place, in the order in which they were added; none are added any more.
---@param place integer
---@param fn fun(text: string)
function methods:each(place, fn)
  local starts, lengths = segments_of(self, place)
  for i = #starts, 1, -1 do each_text(read(self, starts[i], lengths[i]), fn) end
  each_text(held(self, place), fn)
end

function methods:close()
  if self.file then self.file:close() end
end

return M
