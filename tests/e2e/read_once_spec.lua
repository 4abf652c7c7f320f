--- Standard input and connections: what a job with --dir does with input that cannot be read again.

local place = require "support.place"
local shell = require "support.shell"

local write = place.write

local folder
before_each(function() folder = place.make() end)
after_each(place.remove)

--- Sums of what standard input has; slow enough for checkpoints with loops=, fails once at the record fail=.
local sums = [[
local weir = require "weir"
local job = weir.job { name = "sums", max_parallelism = 128 }
local loops, fail = tonumber(job.args.loops or 0), tonumber(job.args.fail)
job:source(weir.stdin { format = weir[job.args.format or "json"]() })
  :map(function(r)
    local x, v = 0, tonumber(r.v)
    for i = 1, loops do x = (x + i) % 7 end
    if v == fail and not io.open "broke" then
      io.open("broke", "w"):close()
      error "broken"
    end
    return { k = "key " .. v % 3, v = v }
  end)
  :key_by "k":sum("v", { emit = "final" })
  :sink(weir.print())
return job
]]
local COUNT = 30000

before_each(function()
  local json, csv = {}, { "k,v" }
  for i = 1, COUNT do
    json[i] = ('{"v":%d}'):format(i)
    csv[i + 1] = ("x,%d"):format(i)
  end
  write("job.lua", sums)
  write("in.json", table.concat(json, "\n") .. "\n")
  write("in.csv", table.concat(csv, "\n") .. "\n")
end)

--- `command` with $weir for the program, in the folder.
local function run(command)
  local out, code, err = shell.run(("cd %s && %s"):format(folder, (command:gsub("%$weir", shell.weir))))
  return shell.sorted(out), code, err
end

local function total(out)
  local sum = 0
  for v in out:gmatch '"v":(%d+)' do sum = sum + tonumber(v) end
  return sum
end

local ALL = COUNT * (COUNT + 1) / 2
local often = "--dir state --checkpoint-every 5ms "

describe("a job that reads standard input and has finished", function()
  for _, input in ipairs { "< in.json", "0< <(cat in.json)" } do
    it("is not passed over with new input, but refused: " .. input, function()
      local first, code, err = run("bash -c '$weir run -q --dir state job.lua " .. input .. "'")
      assert.equal(0, code, err)
      assert.equal(ALL, total(first))
      local out
      out, code, err = run("bash -c '$weir run --dir state job.lua " .. input .. "'")
      assert.equal(2, code)
      assert.equal("", out)
      assert.truthy(err:find('the job "sums" has finished, and what its source \'stdin\' has to read now', 1, true), err)
      out, code, err = run("bash -c '$weir run -q --dir state --resume=never job.lua " .. input .. "'")
      assert.equal(0, code, err)
      assert.equal(first, out)
    end)
  end
end)

describe("a job that is killed while it reads standard input", function()
  local killed = "$weir run -q " .. often .. "--fault checkpoint.complete:3=kill job.lua loops=10000 "

  for _, format in ipairs { "json", "csv" } do
    it("goes on in the file behind what its checkpoint has: " .. format, function()
      local _, code = run(killed .. "format=" .. format .. " < in." .. format)
      assert.equal(137, code)
      local out, code2, err = run("$weir run -q --dir state job.lua format=" .. format .. " < in." .. format)
      assert.equal(0, code2, err)
      assert.equal(ALL, total(out))
      assert.truthy(err:find("standard input is the file of the checkpoint: read on behind its first", 1, true), err)
    end)
  end

  it("goes on in a packed file", function()
    run "gzip in.json"
    assert.equal(137, select(2, run(killed .. "< in.json.gz")))
    local out, code, err = run "$weir run -q --dir state job.lua < in.json.gz"
    assert.equal(0, code, err)
    assert.equal(ALL, total(out))
  end)

  for what, input in pairs { ["a pipe"] = "cat in.json | ", ["another file"] = "cp in.json other; < other " } do
    it("reads what comes now and says what is lost: " .. what, function()
      assert.equal(137, select(2, run("cat in.json | " .. killed)))
      local out, code, err = run(input .. "$weir run -q --dir state job.lua")
      assert.equal(0, code, err)
      local held = tonumber(err:match "standard input cannot be read again: the checkpoint has (%d+) bytes of it,")
      assert.truthy(held, err)
      -- what is in the checkpoint are whole records from the beginning
      local text, sum = shell.read(folder .. "/in.json"):sub(1, held), 0
      for v in text:gmatch '"v":(%d+)}\n' do sum = sum + tonumber(v) end
      assert.equal(ALL + sum, total(out))
    end)
  end
end)

describe("a job that fails while it reads standard input", function()
  it("goes on in the file where its checkpoint is, or from its beginning", function()
    for _, every in ipairs { "5ms", "0" } do
      run "rm -rf state broke"
      local out, code, err = run("$weir run -q --unsafe --dir state --restart-delay 1ms --checkpoint-every " .. every
        .. " job.lua loops=300 fail=20000 < in.json")
      assert.equal(0, code, err)
      assert.truthy(err:find("is run again", 1, true), err)
      assert.equal(ALL, total(out))
    end
  end)

  it("is not run again from a pipe, unless that is asked for", function()
    local _, code, err = run("cat in.json | $weir run -q --unsafe " .. often .. "job.lua loops=300 fail=20000")
    assert.equal(1, code)
    assert.falsy(err:find("run again", 1, true), err)
  end)

  for _, format in ipairs { "json", "csv" } do
    it("goes on behind a record that was torn, and says how much is lost: " .. format, function()
      local out, code, err = run("cat in." .. format .. " | $weir run -q --unsafe " .. often
        .. "--restart=fixed --restart-delay 1ms job.lua loops=300 fail=20000 format=" .. format)
      assert.equal(0, code, err)
      local lost = err:match "standard input cannot be read again: (%d+) bytes of it that no checkpoint has are lost"
      assert.truthy(lost and tonumber(lost) > 0, err)
      assert.equal(1, select(2, err:gsub("is run again", "")), err)
      assert.truthy(total(out) < ALL)
    end)
  end
end)

describe("a job that reads a connection", function()
  it("is not passed over with new input when it has finished, but refused", function()
    write("job.lua", [[
      local weir = require "weir"
      local job = weir.job "tcp"
      local source = job.args.finish and weir.from { 1 } or weir.tcp_lines { port = 1 }
      job:source(source):uid "in":name "in":sink(weir.print())
      return job
    ]])
    assert.equal(0, select(2, run "$weir run -q --dir state job.lua finish=1"))
    local _, code, err = run "$weir run -q --dir state job.lua"
    assert.equal(2, code)
    assert.truthy(err:find("has finished, and what its source 'in' has to read now", 1, true), err)
  end)
end)

describe("a job with --dir that is interrupted", function()
  it("says where it goes on", function()
    write("job.lua", [[
      local weir = require "weir"
      local job = weir.job "echo"
      job:source(weir.stdin()):sink(weir.print())
      return job
    ]])
    local _, code, err = run([[mkfifo in out && { $weir run --dir state job.lua <in >out & } && pid=$! &&
      exec 3>in 4<out && echo one >&3 && read -r line <&4 && kill -INT $pid; wait $pid]])
    assert.equal(130, code, err)
    assert.truthy(err:find("stopped at checkpoint 1: the same command goes on from there", 1, true), err)
  end)
end)
