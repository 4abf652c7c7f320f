--- page_views: cleans page views on their way from a topic to files by the hour.
---
---   weir run --dir state jobs/page_views.lua brokers=localhost:9092 out=views
---
--- Reads {"user":, "url":, "at": "2026-11-20T08:00:00Z", "agent":} from the topic `page_views`, leaves out robots and
--- what followed the '?' of the address, and writes {"at":…,"country":…,"path":"/shoes/7","user":"ann"} to files such
--- as views/2026-11-20/08/part-….json.gz, by the hour (UTC) of the view, each view exactly once. What is no page view
--- goes to the topic `page_views_failed`, with the reason and the message as it came: {"error":…,"origin":…,
--- "record":…}; after a crash that may repeat itself. `stop=latest` ends the job behind what the topic has now.
--- Shows: extract, transform, load; dead letters of a source, a map and of times; rolling files.
local weir = require "weir"

local job = weir.job { name = "page_views", on_error = "dead_letter" }
local brokers = job.args.brokers or "localhost:9092"

local function is_person(view)
  return not (type(view.agent) == "string" and view.agent:lower():find "bot")
end

local function clean(view)
  local path = type(view.url) == "string" and view.url:match "^https?://[^/]+(/[^?#]*)"
  if not path then error("url is no address of a page", 0) end
  if type(view.user) ~= "string" or view.user == "" then error("user is missing", 0) end
  return { user = view.user:lower(), path = path, country = view.country or "unknown", at = view.at }
end

local raw = job:source(weir.kafka { brokers = brokers, topic = "page_views", stop = job.args.stop })
local views = raw:filter(is_person):name "is_person"
local cleaned = views:map(clean):name "clean"
local timed = cleaned:watermarks(weir.watermark.bounded { field = "at", format = "iso8601", delay = "1m" })

timed:sink(weir.rolling_files {
  path = job.args.out or "views", bucket = "%Y-%m-%d/%H", compression = "gzip",
  roll = { size = "64MiB", open_for = "10m", idle_for = "1m" },
}):uid "files":on_error "fail"

raw:side_output "dead_letter"
  :union(views:side_output "dead_letter", cleaned:side_output "dead_letter", timed:side_output "dead_letter")
  :sink(weir.kafka_sink { brokers = brokers, topic = "page_views_failed" })
  :uid "failed":on_error "fail"

return job
