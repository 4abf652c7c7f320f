--- archive: cleans log records and files them by hour, packed, each exactly once.
---
---   weir run --dir state jobs/archive.lua
---   weir run --dir state jobs/archive.lua input=inbox watch=true out=archive
---
--- Reads JSON lines, leaves out those without user, page or time, and writes the others to files such as
--- archive/2023-11-14/22/part-….json.gz, in buckets by the hour (UTC) of the record. With `watch` it goes on and takes
--- each file that is moved into the folder `input`. However often it is killed and run again: nothing is filed twice,
--- in part, or not at all. Shows: rolling files, event time, checkpoints.
local weir = require "weir"

local job = weir.job { name = "archive" }

local function is_whole(visit)
  return type(visit.user) == "string" and type(visit.page) == "string" and type(visit.ts) == "number"
end

job:source(weir.files {
  path = job.args.input or "jobs/data/clicks.ndjson", format = weir.json(), watch = job.args.watch == "true",
})
  :filter(is_whole):name "is_whole"
  :watermarks(weir.watermark.bounded { field = "ts", delay = "1m" })
  :sink(weir.rolling_files {
    path = job.args.out or "archive", bucket = "%Y-%m-%d/%H", compression = "gzip",
    roll = { size = "64MiB", open_for = "10m", idle_for = "1m" },
  }):uid "archive"

return job
