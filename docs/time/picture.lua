--- Draws what docs/time/example.lua printed, as an SVG on standard output: arrival from left to right, event time
--- from bottom to top. Nothing is made up: every mark is a line of the run.
---
---   build/weir lua docs/time/picture.lua [PROGRAM] >docs/time/time.svg

local program = arg and arg[1] or "build/weir"

local WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 900, 430, 56, 48, 870, 350
local SECONDS, LATENESS, SIZE = 40, 5000, 10000
local color = {
  axis = "#555", band = { "#f3f6fa", "#ffffff" }, late_band = "#fdebd3", watermark = "#1f6feb", record = "#2da44e",
  late = "#d97a00", lost = "#cf222e", result = "#6639ba",
}

---------------------------------------------------------------- what was printed

local function parse(line)
  local out = {}
  for key, value in line:gmatch '"([%w_]+)":("?[^",}]+)' do
    out[key] = value:sub(1, 1) == '"' and value:sub(2) or tonumber(value)
  end
  return out
end

local records, results, lost = {}, {}, {}
local run = assert(io.popen(program .. " run --quiet docs/time/example.lua"))
for line in run:lines() do
  local r = parse(line)
  if r.what == "record" then
    records[r.n] = r
  elseif r.what == "result" then
    results[#results + 1] = r
  else
    lost[r.n] = true
  end
end
run:close()
assert(#records > 0, "the example printed no records: is the program built?")

-- The watermark behind record n is the one that the next record met.
local function watermark_behind(n)
  local behind = records[n + 1]
  if behind then return behind.watermark or -math.huge end
  return math.huge
end

local function first_behind(time)
  for n = 1, #records do
    if watermark_behind(n) >= time then return n end
  end
end

-- The record behind which each result was made: the first of a window when the watermark passed the window's
-- end, each later one at the next record that was late for it.
local late = {}
local fired = {} -- by window: the record of its last result
for _, result in ipairs(results) do
  local before = fired[result.from]
  if not before then
    result.n = first_behind(result.to - 1)
  else
    for n = before + 1, #records do
      local r = records[n]
      if r.ts >= result.from and r.ts < result.to and not lost[n] then
        result.n, late[n] = n, true
        break
      end
    end
  end
  result.first = not before
  fired[result.from] = result.n
end

---------------------------------------------------------------- drawing

local out = {}
local function put(text, ...) out[#out + 1] = text:format(...) end
local function x(n) return LEFT + n / (#records + 1) * (RIGHT - LEFT) end
local function y(ms) return BOTTOM - math.max(0, math.min(ms / 1000, SECONDS)) / SECONDS * (BOTTOM - TOP) end
local function line(x1, y1, x2, y2, stroke, more)
  put('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" %s/>', x1, y1, x2, y2, stroke, more or "")
end
local function rect(x1, y1, x2, y2, fill)
  put('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>', x1, y1, x2 - x1, y2 - y1, fill)
end
local function text(at_x, at_y, anchor, fill, words, more)
  put('<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s" %s>%s</text>', at_x, at_y, anchor, fill, more or "", words)
end
local function diamond(at_x, at_y, fill)
  put('<path d="M%.1f %.1fl6 6l-6 6l-6 -6z" fill="%s"/>', at_x, at_y - 6, fill)
end
local function dot(at_x, at_y, fill) put('<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>', at_x, at_y, fill) end
local function cross(at_x, at_y, stroke)
  put('<path d="M%.1f %.1fl8 8m0 -8l-8 8" stroke="%s" stroke-width="2"/>', at_x - 4, at_y - 4, stroke)
end

put('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">', WIDTH, HEIGHT)
put('<title>Event time: records, watermark, windows, lateness and results of docs/time/example.lua</title>')
rect(0, 0, WIDTH, HEIGHT, "#ffffff")

for i = 0, SECONDS * 1000 / SIZE - 1 do
  local from = i * SIZE
  rect(LEFT, y(from + SIZE), RIGHT, y(from), color.band[i % 2 + 1])
  local opened, closed = first_behind(from + SIZE - 1), first_behind(from + SIZE - 1 + LATENESS)
  if opened and opened < #records then
    rect(x(opened + 0.5), y(from + SIZE), x((closed or #records) + 0.5), y(from), color.late_band)
  end
  text(LEFT - 8, y(from) + 4, "end", color.axis, ("%d s"):format(from / 1000))
  text(LEFT + 8, y(from + SIZE) + 15, "start", color.axis, ("window %d to %d s"):format(from / 1000, (from + SIZE) / 1000))
end
line(LEFT, TOP, LEFT, BOTTOM, color.axis)
line(LEFT, BOTTOM, RIGHT, BOTTOM, color.axis)
text(LEFT - 40, TOP - 14, "start", color.axis, "event time")
text(RIGHT, BOTTOM + 18, "end", color.axis, "order of arrival &#8594;")

local path = { ("M%.1f %.1f"):format(x(0), y(0)) }
for n = 1, #records - 1 do
  path[#path + 1] = ("H%.1fV%.1f"):format(x(n + 0.5), y(watermark_behind(n)))
end
path[#path + 1] = ("H%.1fV%.1f"):format(x(#records + 0.5), y(SECONDS * 1000))
put('<path d="%s" fill="none" stroke="%s" stroke-width="2"/>', table.concat(path), color.watermark)

for n, r in ipairs(records) do
  if lost[n] then cross(x(n), y(r.ts), color.lost) else dot(x(n), y(r.ts), late[n] and color.late or color.record) end
end
for _, r in ipairs(results) do
  local at = x(r.n + (r.first and 0.5 or 0))
  if not r.first then
    line(at, y(records[r.n].ts), at, y(r.to), color.late, 'stroke-dasharray="3 3"')
  end
  diamond(at, y(r.to), color.result)
  text(at + 9, y(r.to) - 5, "start", color.result, ("%d"):format(r.count), 'font-weight="bold"')
end

local legend = {
  { "record in time", function(at) dot(at, HEIGHT - 44, color.record) end },
  { "late, allowed", function(at) dot(at, HEIGHT - 44, color.late) end },
  { "too late", function(at) cross(at, HEIGHT - 44, color.lost) end },
  { "result: count", function(at) diamond(at, HEIGHT - 44, color.result) end },
  { "watermark", function(at) line(at - 8, HEIGHT - 44, at + 8, HEIGHT - 44, color.watermark, 'stroke-width="2"') end },
  { "open for late records", function(at) rect(at - 8, HEIGHT - 50, at + 8, HEIGHT - 38, color.late_band) end },
}
for i, each in ipairs(legend) do
  local at = LEFT + 12 + (i - 1) * 136
  each[2](at)
  text(at + 14, HEIGHT - 40, "start", color.axis, each[1])
end
text(LEFT, HEIGHT - 12, "start", color.axis, "docs/time/example.lua: delay 3 s, tumbling windows of 10 s, allowed "
  .. "lateness 5 s; drawn by docs/time/picture.lua from what it printed")
put "</svg>"
io.write(table.concat(out, "\n"), "\n")
