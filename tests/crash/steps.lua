--- steps: at which steps of its protocols a process was when it was killed, and how often it passed each.

local process = require "process"

local AIM_S = 3

local Steps = {}
Steps.__index = Steps

local M = {}

--- The process shows them in the file `shown` (runtime/base/fault.h).
---@param names string[] in the order in which a process meets them first
---@param shown string
function M.new(names, shown)
  local s = setmetatable({ names = names, shown = shown, met = {}, passed = {}, aimed = 0,
    elsewhere = { starting = 0, between = 0, idle = 0 } }, Steps)
  for _, name in ipairs(names) do s.met[name], s.passed[name] = 0, 0 end
  return s
end

--- Before a process starts.
function Steps:begin() os.remove(self.shown) end

--- Waits a moment until a thread is at a step that no kill has met: from the beginning, where some are only.
function Steps:aim()
  local began = os.time()
  while os.time() - began < AIM_S do
    for name, step in pairs(process.steps(self.shown)) do
      if self.met[name] == 0 and step.at > 0 then
        self.aimed = self.aimed + 1
        return
      end
    end
    process.pass(50)
  end
end

--- Counts where a process was that was killed; gives a function that tells how often it had passed a step.
---@return fun(name: string): integer passed
function Steps:count()
  local steps, any = process.steps(self.shown), false
  for name, step in pairs(steps) do
    if self.met[name] then
      self.met[name] = self.met[name] + (step.at > 0 and 1 or 0)
      self.passed[name] = self.passed[name] + step.passed
      any = any or step.at > 0
    end
  end
  local function passed(name) return steps[name] and steps[name].passed or 0 end
  if not any then
    local where = passed "checkpoint.trigger" == 0 and "starting"
      or passed "checkpoint.trigger" > passed "checkpoint.complete" and "between" or "idle"
    self.elsewhere[where] = self.elsewhere[where] + 1
  end
  return passed
end

--- The first step that no kill has met, or nil.
function Steps:unmet()
  for _, name in ipairs(self.names) do
    if self.met[name] == 0 then return name end
  end
end

--- Prints the table; `mark` begins each line.
---@param mark string
function Steps:print(mark)
  local function line(format, ...) print(mark .. format:format(...)) end
  line("%-34s %6s %10s", "step (several threads, several steps)", "kills", "passed")
  for _, name in ipairs(self.names) do line("  %-35s %6d %10d", name, self.met[name], self.passed[name]) end
  line("  %-35s %6d", "before the first checkpoint", self.elsewhere.starting)
  line("  %-35s %6d", "in a checkpoint, between two steps", self.elsewhere.between)
  line("  %-35s %6d", "idle: no checkpoint under way", self.elsewhere.idle)
end

return M
