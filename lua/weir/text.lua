-- SPDX-License-Identifier: Apache-2.0
--- Text, in forms that the compiler likes: no patterns, no closures.
---
--- A word is a maximal run of ASCII letters, digits and bytes from 0x80 up (so UTF-8 stays whole).
---
--- `weir.text()` itself is a format, of messages that are one string each, which has to be UTF-8:
--- `weir.kafka { format = weir.text(), … }`.

local internal = require "weir.internal.text"

local M = {}

--- The words of a text, one after the other, as they are written.
---
---   for word in weir.text.words(rec.line) do emit { word = word } end
---@param text string
---@return fun(walk: table): string? next
---@return table walk
function M.words(text)
  return internal.words(text)
end

--- The words of a text with ASCII letters lower-cased.
---
---   for word in weir.text.lower_words(rec.line) do emit { word = word } end
---@param text string
---@return fun(walk: table): string? next
---@return table walk
function M.lower_words(text)
  return internal.lower_words(text)
end

--- Calls `fn` with each word of a text.
---@param text string
---@param fn fun(word: string)
function M.each_word(text, fn)
  for word in internal.words(text) do fn(word) end
end

return setmetatable(M, { __call = function(_, opts) return require("weir.formats").text(opts) end })
