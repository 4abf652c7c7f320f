--- top_words: the most frequent words of each minute of a chat.
---
---   weir run jobs/top_words.lua
---   weir run jobs/top_words.lua input='chat/*.ndjson' top=10
---
--- Reads JSON lines {"ts": ms, "text": "…"} and prints, when a minute of event time is over,
--- {"count":4,"minute":"2023-11-14T22:13","rank":1,"word":"the"} for the `top` (default 3) words of it;
--- of words equally frequent the one that comes first in the alphabet. Messages may be up to 10 s out of
--- order. Shows: watermarks, a key made by a function, map state, an event timer.
local weir = require "weir"
local floor, lower_words = math.floor, weir.text.lower_words

local job = weir.job { name = "top_words" }
local top = tonumber(job.args.top or 3)
local MINUTE = 60000

local by_frequency = function(a, b)
  if a.count ~= b.count then return a.count > b.count end
  return a.word < b.word
end

local ranking = weir.process_function {
  state = { counts = weir.state.map() },
  element = function(ctx, rec)
    ctx.counts:put(rec.word, (ctx.counts:get(rec.word) or 0) + 1)
    ctx:event_timer((rec.minute + 1) * MINUTE - 1)
  end,
  timer = function(ctx, time)
    local ranked = {}
    for word, count in ctx.counts:iter() do ranked[#ranked + 1] = { word = word, count = count } end
    table.sort(ranked, by_frequency)
    local minute = os.date("!%Y-%m-%dT%H:%M", floor(time / 1000))
    for rank = 1, math.min(top, #ranked) do
      ctx:emit { minute = minute, rank = rank, word = ranked[rank].word, count = ranked[rank].count }
    end
    ctx.counts:clear()
  end,
}

job:source(weir.files { path = job.args.input or "jobs/data/chat.ndjson", format = weir.json() })
  :watermarks(weir.watermark.bounded { field = "ts", delay = "10s" })
  :flat_map(function(rec, emit)
    for word in lower_words(rec.text) do emit { word = word, minute = floor(rec.ts / MINUTE) } end
  end)
  :key_by "minute"
  :process(ranking):uid "ranking"
  :sink(weir.print())

return job
