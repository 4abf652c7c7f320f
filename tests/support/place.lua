--- A folder of its own for each test of a spec, and what a spec does there: writes files, runs jobs, kills them.
---
---   local place = require "support.place"
---   local write, run = place.write, place.run
---
---   before_each(place.make)
---   after_each(place.remove)

local assert = require "luassert"
local shell = require "support.shell"

local M = {}

--- Fault points on the way of a checkpoint, in the order in which one is met first.
M.CHECKPOINT_STEPS = {
  "checkpoint.trigger", "blob.open", "blob.write", "blob.sync", "blob.sync_folder", "checkpoint.ack", "blob.rename",
  "checkpoint.published", "checkpoint.complete", "blob.remove", "checkpoint.removed",
}

local folder

--- Makes the folder of a test; gives its path.
---@return string
function M.make()
  folder = shell.folder()
  return folder
end

function M.remove() shell.remove(folder) end

function M.write(name, text)
  local f = assert(io.open(folder .. "/" .. name, "w"))
  f:write(text)
  f:close()
end

function M.read(name) return shell.read(folder .. "/" .. name) end

--- The lines of a text in their order, the last one without its end.
---@param text string
---@return string
function M.sorted(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  table.sort(lines)
  return table.concat(lines, "\n")
end

--- Runs shell code there, in which $W is the program; other tests' jobs are not seen.
---@param code string
---@return string out
---@return integer code
---@return string err
function M.sh(code)
  return shell.run(("cd %s; export WEIR_RUNTIME_DIR=%s/run W='%s'; %s"):format(folder, folder, shell.weir, code))
end

--- Runs the program there; gives its standard output, exit code and standard error.
---@param arguments string
---@return string out
---@return integer code
---@return string err
function M.weir(arguments)
  return shell.run(("cd %s && %s %s"):format(folder, shell.weir, arguments))
end

--- The same for what has to succeed; gives both outputs.
---@param arguments string
---@return string out
---@return string err
function M.done(arguments)
  local out, code, err = M.weir(arguments)
  assert.equal(0, code, arguments .. "\n" .. out .. err)
  return out, err
end

--- Runs job.lua quietly.
---@param options? string of the program
---@param args? string of the job
---@return string out
---@return integer code
---@return string err
function M.run(options, args)
  return M.weir(("run -q %s job.lua %s"):format(options or "", args or ""))
end

--- The same for a run that has to succeed.
function M.ran(options, args)
  local _, code, err = M.run(options, args)
  assert.equal(0, code, err)
end

-- A quarter of the pace that a command gives its job.
local function slower(text)
  return (text:gsub("rate=(%d+)", function(n) return ("rate=%d"):format(math.max(1, n / 4)) end)
    :gsub("loops=(%d+)", function(n) return ("loops=%d"):format(4 * n) end))
end

--- Runs what is to be killed at a fault point. Checkpoints come by the clock, and on a busy machine a job may be
--- through with its rows before the point is met: then the folder is put back, and it runs again at a quarter of the
--- pace, of what is given as rate=N or loops=N, three times at most.
---@param run fun(...: string): string, integer, string such as `M.weir`
---@param ... string for it
---@return string out
---@return string err
function M.dies(run, ...)
  local given, kept = { ... }, shell.folder()
  shell.run(("cp -a %s/. %s"):format(folder, kept))
  local out, code, err
  for _ = 1, 4 do
    out, code, err = run(unpack(given))
    if code ~= 0 then break end
    shell.run(("rm -rf %s && cp -a %s %s"):format(folder, kept, folder))
    for i, text in ipairs(given) do given[i] = slower(text) end
  end
  shell.remove(kept)
  assert.equal(137, code, ("was not killed: %s\n%s"):format(table.concat(given, " "), err))
  return out, err
end

--- Runs job.lua, which is killed at the n-th time that it comes to a point.
---@param point string
---@param n integer
function M.killed(options, args, point, n)
  return M.dies(M.run, ("%s --fault %s:%d=kill"):format(options, point, n), args)
end

--- Runs job.lua until it has printed so many lines; then it is interrupted, takes its only checkpoint, in `state`, and
--- may print no more.
---@param count integer
---@param options? string
---@return string out
---@return string err
function M.until_lines(count, options)
  local out, _, err = shell.run(([[cd %s &&
    ( %s run -q --dir state --checkpoint-every 0 %s job.lua & echo $! >pid; wait $! ) |
    ( for i in $(seq %d); do read -r line; echo "$line"; done; kill -INT $(cat pid); cat )]])
    :format(folder, shell.weir, options or "", count))
  assert.equal(count, select(2, out:gsub("\n", "")), out .. err)
  return out, err
end

--- Waits for the end of a job begun in the background, whose exit code goes to the file `code` and whose standard error
--- to `err`; gives both.
---@return integer code
---@return string err
function M.ended()
  local _, code, err = M.sh(shell.await("[ -s code ]", "$$"))
  assert.equal(0, code, err)
  return tonumber(M.read "code"), M.read "err"
end

return M
