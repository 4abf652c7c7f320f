-- SPDX-License-Identifier: Apache-2.0
--- Text, in forms that the compiler likes: no patterns, no closures.
---
--- A word is a maximal run of ASCII letters, digits and bytes from 0x80 up (so UTF-8 stays whole).

local byte, sub = string.byte, string.sub

local M = {}

local part = {}
for b = 0, 255 do
  part[b] = b >= 48 and b <= 57 or b >= 65 and b <= 90 or b >= 97 and b <= 122 or b >= 128
end

local function next_word(walk)
  local text, at, last = walk.text, walk.at, walk.last
  while at <= last and not part[byte(text, at)] do at = at + 1 end
  if at > last then return nil end
  local first = at
  repeat at = at + 1 until at > last or not part[byte(text, at)]
  walk.at = at
  return sub(text, first, at - 1)
end

--- The words of a text, one after the other, as they are written.
---
---   for word in weir.text.words(rec.line) do emit { word = word:lower() } end
---@param text string
---@return fun(walk: table): string? next
---@return table walk
function M.words(text)
  return next_word, { text = text, at = 1, last = #text }
end

--- Calls `fn` with each word of a text.
---@param text string
---@param fn fun(word: string)
function M.each_word(text, fn)
  local walk = { text = text, at = 1, last = #text }
  local word = next_word(walk)
  while word do
    fn(word)
    word = next_word(walk)
  end
end

return M
