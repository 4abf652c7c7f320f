-- SPDX-License-Identifier: Apache-2.0
--- The words of a text, found in C (script/words.c). A walk is a table that keeps the text
--- alive beside C's cursor; finished walks are used again.

local ffi = require "ffi"
local border = require "weir.internal.border"

local C = border.C
local ffistr, cast = ffi.string, ffi.cast
local cu8p = border.cu8p
local lower = string.lower
local lower_max -- bytes that C lower-cases

local M = {}

local idle

local function next_lower(walk)
  local cursor = walk.cursor
  if C.wr_words_next(cursor) ~= 0 then
    local len = cursor.len
    if len <= lower_max then return ffistr(cursor.lower, len) end
    return lower(ffistr(cursor.p - len, len))
  end
  walk.text = nil
  idle = walk
end

local function next_word(walk)
  local cursor = walk.cursor
  if C.wr_words_next(cursor) ~= 0 then return ffistr(cursor.p - cursor.len, cursor.len) end
  walk.text = nil
  idle = walk
end

local function begin(text)
  if type(text) ~= "string" then
    require("weir.where").fail("the words of a text, not of %s", text == nil and "nil" or "a " .. type(text))
  end
  local walk = idle
  if walk then
    idle = nil
  else
    border.declare "words"
    walk = { cursor = ffi.new "struct wr_words", text = false }
    lower_max = ffi.sizeof(walk.cursor.lower)
  end
  walk.text = text
  local p = cast(cu8p, text)
  walk.cursor.p = p
  walk.cursor["end"] = p + #text
  return walk
end

function M.words(text)
  return next_word, begin(text)
end

function M.lower_words(text)
  return next_lower, begin(text)
end

return M
