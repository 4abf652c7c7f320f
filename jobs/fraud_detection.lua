--- fraud_detection: tells of cards that were tried out with a small payment before a large one.
---
---   weir run --dir state --checkpoint-every 1s jobs/fraud_detection.lua brokers=localhost:9092
---   weir run --dir state jobs/fraud_detection.lua small=2 large=1000 within=10m
---
--- Reads card payments {"card":, "amount":, "merchant":, "ts": ms} from the topic `transactions`, and writes an alert
--- to the topic `fraud_alerts` for each payment of more than `large` (500) that comes within `within` (1m) of one below
--- `small` (1) of the same card: {"after_s":12,"amount":912.5,"card":…,"merchant":…,"tried_at":…,"ts":…}. Each alert is
--- there exactly once, whatever crashes. `stop=latest` ends the job behind what the topic has now, `alerts=` names
--- another topic to write to.
--- Shows: keyed state, a timer that forgets, exactly once from topic to topic.
local weir = require "weir"

local job = weir.job { name = "fraud_detection" }
local brokers = job.args.brokers or "localhost:9092"
local SMALL, LARGE = tonumber(job.args.small or 1), tonumber(job.args.large or 500)
local WITHIN = weir.duration(job.args.within or "1m")

local detect = weir.process_function {
  state = { tried = weir.state.value() }, -- the last small payment of a card
  element = function(ctx, payment)
    local tried = ctx.tried:get()
    if payment.amount < SMALL then
      ctx.tried:set { ts = payment.ts, merchant = payment.merchant }
      ctx:event_timer(payment.ts + WITHIN)
    elseif tried and payment.amount > LARGE and payment.ts <= tried.ts + WITHIN then
      ctx:emit {
        card = payment.card, ts = payment.ts, amount = payment.amount, merchant = payment.merchant,
        tried_at = tried.merchant, after_s = (payment.ts - tried.ts) / 1000,
      }
      ctx.tried:clear()
    end
  end,
  timer = function(ctx, time) -- unless there was another one meanwhile, which has a timer of its own
    local tried = ctx.tried:get()
    if tried and time == tried.ts + WITHIN then ctx.tried:clear() end
  end,
}

job:source(weir.kafka { brokers = brokers, topic = "transactions", stop = job.args.stop })
  :watermarks(weir.watermark.bounded { field = "ts", delay = "5s", idle_after = "10s" })
  :key_by "card"
  :process(detect):uid "detect"
  :sink(weir.kafka_sink {
    brokers = brokers, topic = job.args.alerts or "fraud_alerts", key = "card", guarantee = "exactly_once",
  }):uid "alerts"

return job
