--- windows: a sum per key and window, a hundred records a key and slide; one record a millisecond.
---   kind=none|tumbling|sliding|session  keys=1000  ratio=10 (size by slide, a whole number or not)
local weir = require "weir"

local job = weir.job { name = "windows" }
local args = job.args
local keys = tonumber(args.keys or 1000)
local slide = keys * tonumber(args.every or 100)

local windows = {
  tumbling = function() return weir.window.tumbling(slide) end,
  sliding = function()
    return weir.window.sliding { size = math.floor(slide * tonumber(args.ratio)), slide = slide }
  end,
  session = function() return weir.window.session(keys * 5) end,
}

local records = job:source(weir.generate {
    count = tonumber(args.records),
    fields = { key = { random = keys }, value = { cycle = 1000 }, ts = { cycle = 2 ^ 53 } },
  })
  :watermarks(weir.watermark.ascending { field = "ts" })
if args.kind ~= "none" then records = records:key_by("key"):window(windows[args.kind]()):sum "value" end
records:measure():sink(weir.print())

return job
