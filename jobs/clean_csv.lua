--- clean_csv: checks and converts payments; what is wrong goes to a file of its own, with the reason.
---
---   weir run jobs/clean_csv.lua
---   weir run jobs/clean_csv.lua input='in/*.csv' bad=bad.ndjson > clean.ndjson
---
--- Prints the good rows as JSON, {"account":"ann","amount":12.5,"currency":"EUR","id":1}, and writes each bad
--- one to the file `bad` (default bad.ndjson): {"error": why, "operator":, "origin": where, "record": the row}.
--- Rows with a wrong number of columns fail in the source, rows with wrong values in `convert`: both have
--- on_error "dead_letter", so the job goes on. Shows: CSV, dead letters, two sinks.
local weir = require "weir"

local job = weir.job { name = "clean_csv" }
local currencies = { EUR = true, USD = true, GBP = true, CHF = true }

local function convert(row)
  local amount = tonumber(row.amount)
  if not amount then error("amount is no number: " .. row.amount, 0) end
  if row.account == "" then error("account is empty", 0) end
  if not currencies[row.currency] then error("unknown currency: " .. row.currency, 0) end
  return { id = tonumber(row.id), account = row.account, amount = amount, currency = row.currency }
end

local rows = job:source(weir.files { path = job.args.input or "jobs/data/payments.csv", format = weir.csv() })
  :on_error "dead_letter"
local clean = rows:map(convert):name "convert":on_error "dead_letter"

clean:sink(weir.print())
rows:side_output("dead_letter")
  :union(clean:side_output "dead_letter")
  :sink(weir.file_sink { path = job.args.bad or "bad.ndjson" }):parallelism(1)

return job
