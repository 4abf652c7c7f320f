--- sensor_averages: the average of each sensor over five seconds, as CSV files.
---
---   weir run --dir state jobs/sensor_averages.lua brokers=localhost:9092 out=averages
---   weir run --dir state jobs/sensor_averages.lua window=1m lateness=1h
---
--- Reads readings {"sensor":, "temp":, "ts": ms} from the topic `sensors`, and writes a line for each sensor and each
--- five seconds of event time (`window`) in which it had any:
---   window_start,sensor,avg,min,max,readings
---   1795161600000,kiln,231.5,229,234,2
--- A reading that is up to 2 s out of order is in its line; one that is later by up to `lateness` (10s) gives the line
--- again, corrected: of lines with the same window_start and sensor the one with the most readings holds. What is
--- later than that is counted, and goes to files in `out`/too_late. `stop=latest` ends the job behind what the topic
--- has now. Shows: windows, aggregates, lateness, rolling files of CSV.
local weir = require "weir"

local job = weir.job { name = "sensor_averages" }
local out = job.args.out or "averages"

local averages = job:source(weir.kafka {
  brokers = job.args.brokers or "localhost:9092", topic = "sensors", stop = job.args.stop,
})
  :watermarks(weir.watermark.bounded { field = "ts", delay = "2s", idle_after = "10s" })
  :key_by "sensor"
  :window(weir.window.tumbling(job.args.window or "5s"))
  :allowed_lateness(job.args.lateness or "10s")
  :late_to "too_late"
  :aggregate {
    avg = weir.agg.avg "temp", min = weir.agg.min "temp", max = weir.agg.max "temp", readings = weir.agg.count(),
  }:uid "averages"

averages
  :map(function(r)
    return {
      window_start = r.window_start, sensor = r.sensor, avg = r.avg, min = r.min, max = r.max, readings = r.readings,
    }
  end)
  :sink(weir.rolling_files {
    path = out, bucket = "%Y-%m-%d", roll = { size = "64MiB", open_for = "10m", idle_for = "1m" },
    format = weir.csv { columns = { "window_start", "sensor", "avg", "min", "max", "readings" }, header = true },
  }):uid "files"

averages:side_output "too_late":sink(weir.rolling_files { path = out .. "/too_late" }):uid "too_late"

return job
