--- trending_hashtags: the hashtags of the last ten minutes, ranked every minute.
---
---   weir run --dir state --checkpoint-every 1s jobs/trending_hashtags.lua brokers=localhost:9092
---   weir run --dir state jobs/trending_hashtags.lua top=10 window=1h slide=5m
---
--- Reads posts {"user":, "text":, "ts": ms} from the topic `posts`, and writes the `top` (3) hashtags of each window to
--- the topic `trending`: {"at":"2026-11-20T08:10:00Z","posts":4,"rank":1,"tag":"#snow"}, of equally frequent ones
--- first what comes first in the alphabet. Each is there exactly once, whatever crashes. Posts may be up to 10 s out of
--- order. `stop=latest` ends the job behind what the topic has now.
--- Shows: sliding windows, the n best of a window in two steps, exactly once from topic to topic.
local weir = require "weir"

local job = weir.job { name = "trending_hashtags" }
local brokers = job.args.brokers or "localhost:9092"
local top = tonumber(job.args.top or 3)
local size, slide = job.args.window or "10m", job.args.slide or "1m"

-- Each hashtag of a post once.
local function hashtags(post, emit)
  local seen = {}
  for tag in post.text:lower():gmatch "#[%w_]+" do
    if not seen[tag] then emit { tag = tag } end
    seen[tag] = true
  end
end

local function by_posts(a, b)
  if a.count ~= b.count then return a.count > b.count end
  return a.tag < b.tag
end

local function rank(ctx, counts)
  table.sort(counts, by_posts)
  local at = os.date("!%Y-%m-%dT%H:%M:%SZ", select(2, ctx:window()) / 1000)
  for i = 1, math.min(top, #counts) do
    ctx:emit { at = at, rank = i, tag = counts[i].tag, posts = counts[i].count }
  end
end

job:source(weir.kafka { brokers = brokers, topic = "posts", stop = job.args.stop })
  :watermarks(weir.watermark.bounded { field = "ts", delay = "10s", idle_after = "10s" })
  :flat_map(hashtags):name "hashtags"
  :key_by "tag"
  :window(weir.window.sliding { size = size, slide = slide }):count():uid "counts"
  :window_all(weir.window.tumbling(slide)):process(rank):uid "ranks" -- results of one moment are in one of these
  :sink(weir.kafka_sink { brokers = brokers, topic = "trending", key = "at", guarantee = "exactly_once" })
  :uid "trending":parallelism(1) -- so that ranks are in order

return job
