--- plot: throughput and latency over the buffer timeout, as one SVG of two panels.

local M = {}

local colors = { "#1b6ca8", "#d1603d", "#3a7d44" }
local W, H, LEFT, TOP, GAP = 360, 260, 70, 40, 90

local function text(x, y, s, more)
  return ('<text x="%.1f" y="%.1f" %s>%s</text>'):format(x, y, more or "", s)
end

--- One panel: x are the timeouts, evenly spaced; y is logarithmic.
local function panel(svg, left, title, unit, series, value)
  local low, high = math.huge, 0
  for _, s in ipairs(series) do
    for _, p in ipairs(s.points) do
      low, high = math.min(low, value(p)), math.max(high, value(p))
    end
  end
  low, high = 10 ^ math.floor(math.log10(low)), 10 ^ math.ceil(math.log10(high) + 1e-9)
  if low == high then high = low * 10 end
  local function y_of(v) return TOP + H - H * math.log10(v / low) / math.log10(high / low) end
  local n = #series[1].points
  local function x_of(i) return left + W * (i - 1) / (n - 1) end
  svg[#svg + 1] = text(left, TOP - 16, title, 'font-weight="bold"')
  local v = low
  while v <= high * 1.001 do
    svg[#svg + 1] = ('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>')
      :format(left, left + W, y_of(v), y_of(v))
    svg[#svg + 1] = text(left - 8, y_of(v) + 4, ("%g%s"):format(v, unit), 'text-anchor="end"')
    v = v * 10
  end
  for i, p in ipairs(series[1].points) do
    svg[#svg + 1] = text(x_of(i), TOP + H + 18, p.timeout .. " ms", 'text-anchor="middle"')
  end
  for k, s in ipairs(series) do
    local path = {}
    for i, p in ipairs(s.points) do path[i] = ("%.1f,%.1f"):format(x_of(i), y_of(value(p))) end
    svg[#svg + 1] = ('<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>')
      :format(colors[k], table.concat(path, " "))
    svg[#svg + 1] = text(left + 8, TOP + 16 * k, s.name, ('fill="%s"'):format(colors[k]))
  end
end

---@param path string
---@param series { name: string, points: { timeout: number, speed: number, p99: number }[] }[]
function M.sweep(path, series)
  local width, height = 2 * (LEFT + W) + GAP, TOP + H + 60
  local svg = {
    ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">')
      :format(width, height),
    '<rect width="100%" height="100%" fill="white"/>',
  }
  panel(svg, LEFT, "throughput over buffer timeout", " M/s", series, function(p) return p.speed end)
  panel(svg, 2 * LEFT + W + GAP / 2, "p99 latency at 50,000 records/s", " us", series, function(p) return p.p99 end)
  svg[#svg + 1] = "</svg>\n"
  local f = assert(io.open(path, "w"))
  f:write(table.concat(svg, "\n"))
  f:close()
end

return M
