--- crash: the job that tests/crash/run.lua kills: lines of a file, sums in windows by key, rolling files.
--- With loops= each record costs so many turns of a loop, so that the input outlasts many lives of the process.
local weir = require "weir"

local job = weir.job { name = "crash", max_parallelism = 64 }
local loops = tonumber(job.args.loops or 0)

local function slowly(rec)
  local x = rec.v
  for i = 1, loops do x = (x * 16807 + i) % 2147483647 end
  rec.unused = x
  return rec
end

job:source(weir.files { path = job.args.input, format = weir.json(), split_size = "256KiB" }):uid "input"
  :map(slowly)
  :watermarks(weir.watermark.bounded { field = "ts", delay = 40, every = "5ms" }):uid "watermarks"
  :key_by "k":window(weir.window.tumbling "200ms")
  :aggregate { n = weir.agg.count(), sum = weir.agg.sum "v" }:uid "sums"
  :sink(weir.rolling_files {
    path = job.args.out, bucket = function(rec) return "group=" .. rec.k % 3 end,
    format = weir.csv { columns = { "k", "n", "sum", "window_start", "window_end" } }, roll = { rows = 150 },
  }):uid "files"

return job
