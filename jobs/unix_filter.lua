--- unix_filter: a job as one program among others in a pipe.
---
---   weir run jobs/unix_filter.lua match=ERROR < jobs/data/app.log
---   tail -f app.log | weir run jobs/unix_filter.lua match=ERROR | head
---
--- Copies the lines that contain `match` from standard input to standard output, with their time cut off:
--- "ERROR db: connection reset by peer". Logs and progress never go to standard output; a closed pipe ends
--- the job in order. Shows: stdin, stdout, lines in and out.
local weir = require "weir"
local find, sub = string.find, string.sub

local job = weir.job { name = "unix_filter", parallelism = 1 }
local match = job.args.match or ""

job:source(weir.stdin())
  :filter(function(rec) return find(rec.line, match, 1, true) ~= nil end)
  :map(function(rec)
    local space = find(rec.line, " ", 1, true)
    return { line = space and sub(rec.line, space + 1) or rec.line }
  end)
  :sink(weir.stdout { format = weir.lines() })

return job
