--- A job that writes what it reads of topics to the file `out`, each row once; in the folder of a test (place.lua).
---
---   copy.write(("topic = %q"):format(topic))
---   copy.begin()                 -- in the background
---   copy.await_lines(100)
---   copy.stop()
---   copy.all_once(100)

local assert = require "luassert"
local kafka = require "support.kafka"
local place = require "support.place"
local shell = require "support.shell"

local M = {}

--- Records {"n":from} to {"n":to}, each with a key and n seconds as its time.
---@param from integer
---@param to integer
---@param partition? integer
function M.numbers(from, to, partition)
  local list = {}
  for i = from, to do
    list[#list + 1] = { key = "k" .. i, value = ('{"n":%d}'):format(i), timestamp = 1000 * i, partition = partition }
  end
  return list
end

--- Writes job.lua.
---@param options string of weir.kafka, a part of a Lua table
---@param brokers? string of the shared cluster unless told
---@param chain? string what stands between source and sink
function M.write(options, brokers, chain)
  place.write("job.lua", ([[
    local weir = require "weir"
    local job = weir.job { name = "copy", max_parallelism = 128 }
    job:source(weir.kafka { brokers = %q, %s }):uid "in"%s
      :sink(weir.file_sink { path = "out", format = weir.json(), guarantee = "exactly_once" }):parallelism(1):uid "out"
    return job]]):format(brokers or kafka.shared().brokers, options, chain or ""))
end

--- Runs the job until so many lines are there, and then `behind`, shell code; fails when it ends before.
---@return string out
---@return integer code of the job
---@return string err
function M.run_until(lines, options, behind)
  return place.sh(([[
    touch out
    trap 'cat err >&2' EXIT
    $W run -q --dir state --checkpoint-every 50ms %s job.lua 2>err & pid=$!
    %s
    %s
    wait $pid]]):format(options or "", shell.await(('[ "$(wc -l <out)" -ge %d ]'):format(lines), "$pid"), behind))
end

--- Runs the job until so many lines are there; then it is killed. Gives its standard error.
function M.kill_behind(lines, options)
  local _, code, err = M.run_until(lines, options, "kill -9 $pid")
  assert.equal(137, code, err)
  return err
end

--- The same, but it is stopped.
function M.stop_behind(lines, options)
  local _, code, err = M.run_until(lines, options, "$W stop $pid >stopped 2>&1")
  assert.equal(0, code, err)
  return err
end

--- Runs the job until standard error has a text, and a checkpoint behind that holds; then it is killed, which it must
--- live to see.
---@param text string
---@param arguments? string of the job
function M.run_to_checkpoint(text, arguments)
  local _, code, err = place.sh(([[
    $W run --dir state job.lua %s 2>err & pid=$!
    %s
    $W checkpoint $pid && kill -9 $pid]])
    :format(arguments or "", shell.await(("grep -q '%s' err"):format(text), "$pid")))
  assert.equal(0, code, err)
end

--- Begins the job in the background; its process is in the file `pid`.
function M.begin(options)
  place.sh(([[touch out err; $W run --dir state --checkpoint-every 50ms %s job.lua 2>>err & echo $! >pid]])
    :format(options or ""))
end

--- Stops what was begun.
function M.stop()
  local _, code, err = place.sh "$W stop $(cat pid)"
  assert.equal(0, code, err .. place.read "err")
end

--- Kills what was begun, and waits until it is gone.
function M.kill()
  place.sh "kill -9 $(cat pid); while [ -e /proc/$(cat pid)/exe ]; do sleep 0.01; done"
end

--- Waits until what was begun has a checkpoint that holds.
function M.await_checkpoint()
  kafka.await("a checkpoint", function() return select(2, place.sh "ls state/chk-*/manifest") == 0 end)
end

--- Ends what was begun and goes on because a test failed, and removes the folder.
function M.remove()
  place.sh "[ ! -e pid ] || { kill -9 $(cat pid) && while [ -e /proc/$(cat pid)/exe ]; do sleep 0.01; done; }"
  place.remove()
end

--- Waits until what was begun has said this on standard error.
---@param text string
function M.await_word(text)
  kafka.await(text, function() return place.read("err"):find(text, 1, true) end)
end

--- How many lines `out` has.
function M.lines() return select(2, place.read("out"):gsub("\n", "")) end

--- Waits until `out` has so many lines.
---@param lines integer
function M.await_lines(lines)
  kafka.await(lines .. " lines", function() return M.lines() >= lines end)
end

--- Each number from 1, or `from`, up to `to` is in `out` once, and no other.
---@param to integer
---@param from? integer
function M.all_once(to, from)
  local seen, lines = {}, 0
  for n in place.read("out"):gmatch '{"n":(%d+)}\n' do
    assert.is_nil(seen[n], n .. " stands there twice")
    seen[n], lines = true, lines + 1
  end
  for i = from or 1, to do assert.truthy(seen[tostring(i)], i .. " is missing") end
  assert.equal(to - (from or 1) + 1, lines)
end

return M
