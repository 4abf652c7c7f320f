--- What a job that writes rolling files has left in a folder.

local shell = require "support.shell"

local M = {}

local unpack_by = { gz = "gzip -dc", zst = "zstd -qdc" }

--- All that a reader sees below `name`, sorted.
---@param folder string
---@param name string
---@param suffix? "gz"|"zst"
---@return string
function M.rows(folder, name, suffix)
  return (shell.run(("cd %s && find %s -type f ! -path '*/.*' | sort | xargs -r %s | sort"):format(folder, name,
    unpack_by[suffix or ""] or "cat")))
end

--- What is below `name` and hidden.
function M.hidden(folder, name)
  return (shell.run(("cd %s && find %s -path '*/.*'"):format(folder, name)))
end

--- The finished files below `name`, in the order of their names.
---@return string[]
function M.files(folder, name)
  local list = {}
  for file in shell.run(("cd %s && find %s -type f ! -path '*/.*' | sort"):format(folder, name)):gmatch "[^\n]+" do
    list[#list + 1] = file
  end
  return list
end

--- A job with 12,000 rows in five buckets.
M.job = [[
local weir = require "weir"
local job = weir.job { name = "archive", max_parallelism = 128 }
local function record(i) return { k = i % 5, v = i } end
job:source(weir.generate { rate = tonumber(job.args.rate), count = 12000, fn = record })
  :rebalance()
  :sink(weir.rolling_files { path = job.args.out or "out", bucket = "k={k}", roll = { rows = 500 },
    compression = job.args.compression or "none" }):uid "files"
return job
]]

return M
