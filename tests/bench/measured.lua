--- measured: what the tables of figures have in common.

local M = {}

--- What a command prints; its failure is an error.
---@param command string
---@return string
function M.capture(command)
  local pipe = assert(io.popen("{ " .. command .. '; } 2>&1; echo "status $?"'))
  local text = pipe:read "*a"
  pipe:close()
  local status = tonumber(text:match "status (%d+)\n$")
  if status ~= 0 then error(("%s\nfailed with status %d:\n%s"):format(command, status, text), 0) end
  return text
end

--- Sorts the list.
---@param list number[]
---@return number
function M.median(list)
  table.sort(list)
  local n = #list
  return n % 2 == 1 and list[(n + 1) / 2] or (list[n / 2] + list[n / 2 + 1]) / 2
end

--- Writes figures as JSON lines, each with its fields in the order of their names.
---@param path string
---@param figures table<string, string|number>[]
function M.write_results(path, figures)
  local f = assert(io.open(path, "w"))
  for _, fields in ipairs(figures) do
    local keys, parts = {}, {}
    for k in pairs(fields) do keys[#keys + 1] = k end
    table.sort(keys)
    for _, k in ipairs(keys) do
      local v = fields[k]
      parts[#parts + 1] = type(v) == "number" and ('"%s":%.6g'):format(k, v) or ('"%s":"%s"'):format(k, v)
    end
    f:write("{", table.concat(parts, ","), "}\n")
  end
  f:close()
end

return M
