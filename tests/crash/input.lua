--- input: writes the lines that the job of the crash test reads, and the rows that it must write, worked out
--- without the engine. usage: luajit input.lua RECORDS INPUT EXPECTED

local records = tonumber(arg[1])
local input, expected = assert(io.open(arg[2], "w")), assert(io.open(arg[3], "w"))

local KEYS, STEP_MS, JITTER_MS, WINDOW_MS = 17, 2, 40, 200
local windows = {} -- by start: by key
local state = 42

local function random(below)
  state = (state * 16807) % 2147483647
  return state % below
end

for i = 0, records - 1 do
  local k, v, ts = random(KEYS), random(1000), i * STEP_MS + random(JITTER_MS)
  input:write(('{"k":%d,"v":%d,"ts":%d}\n'):format(k, v, ts))
  local start = ts - ts % WINDOW_MS
  local keys = windows[start] or {}
  windows[start] = keys
  local row = keys[k] or { n = 0, sum = 0 }
  keys[k] = row
  row.n, row.sum = row.n + 1, row.sum + v
end

for start, keys in pairs(windows) do
  for k, row in pairs(keys) do
    expected:write(("%d,%d,%d,%d,%d\n"):format(k, row.n, row.sum, start, start + WINDOW_MS))
  end
end
assert(input:close() and expected:close())
