--- crash: the job that tests/crash/run.lua kills: lines of a file, sums in windows by key, rolling files.
--- With loops= each record costs so many turns of a loop (slowly.lua).
local slowly = require "slowly"
local weir = require "weir"

local job = weir.job { name = "crash", max_parallelism = 64 }

job:source(weir.files { path = job.args.input, format = weir.json(), split_size = "256KiB" }):uid "input"
  :map(slowly(tonumber(job.args.loops or 0)))
  :watermarks(weir.watermark.bounded { field = "ts", delay = 40, every = "5ms" }):uid "watermarks"
  :key_by "k":window(weir.window.tumbling "200ms")
  :aggregate { n = weir.agg.count(), sum = weir.agg.sum "v" }:uid "sums"
  :sink(weir.rolling_files {
    path = job.args.out, bucket = function(rec) return "group=" .. rec.k % 3 end,
    format = weir.csv { columns = { "k", "n", "sum", "window_start", "window_end" } }, roll = { rows = 150 },
  }):uid "files"

return job
