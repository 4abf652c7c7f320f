--- nexmark: the Nexmark queries, in million events a second of CPU time and of wall time.
--- usage: luajit tests/bench/nexmark.lua BUILD-FOLDER [QUERY…]   (in the environment: ROUNDS=3 EVENTS=4e6
--- RATE=100000 FROM="generator memory")
---
--- All queries run; those of which there is a reference are held against it. A long run takes generated events
--- alone, since 50 million in memory are 10 GB: EVENTS=50e6 ROUNDS=1 FROM=generator make bench-nexmark
---
--- The goals are for generated events: the reference's share of making them is its larger part.
---
--- For each query: C is the reference, one thread, with the same lite generator; Weir runs with one worker and
--- parallelism 1, then with two and two. Rates are medians of the rounds. "times" is how much faster two workers
--- are than one, by the fastest run of each: what else the machine does can only slow a run down, and it does so
--- unevenly. The host of a virtual machine moves its cpus about, onto two threads of one core as well, where the
--- generator's arithmetic alone needs 1.4 times as long; "median" is the same of the medians. "of" is what two
--- processes with one worker each reach side by side, their fastest run, for generated events: cores share caches
--- and memory. More ROUNDS make it likelier that each was left alone once.
---
--- "generated" makes the events as they are taken; "memory" replays events made before, and their making is not
--- counted. Reference and job take turns, and each figure is the median of its rounds. A checksum that differs
--- from C's is an error. Prints a table; JSON lines go to BUILD-FOLDER/bench/nexmark.json.

package.path = "tests/bench/?.lua;" .. package.path
local measured = require "measured"

local build = arg[1] or "build"
local rounds = tonumber(os.getenv "ROUNDS" or 3)
local events = tonumber(os.getenv "EVENTS" or 4e6)
local rate = tonumber(os.getenv "RATE" or 100000)
local origins = os.getenv "FROM" or "generator memory"
local out = build .. "/bench"
local failed = false

-- Shares of the reference that are asked for, per CPU second, and for some a number as well.
local goals = {
  [0] = { share = 0.4 }, [1] = { share = 0.4 }, [2] = { share = 0.4 }, [3] = { share = 0.3 }, [4] = { share = 0.3 },
  [5] = { share = 0.3, rate = 10 }, [7] = { share = 0.3 }, [8] = { share = 0.3 },
  [11] = { share = 0.3, rate = 10 }, [12] = { share = 0.3, rate = 10 },
}

-- Two workers against one.
local times_goal = 1.6

local capture, median = measured.capture, measured.median

--- Wall and CPU seconds and the result, "rows=N sum=HEX", of the reference.
local function reference(query, from)
  local text = capture(("%s/ref_nexmark %d %d %d %s"):format(out, query, events, rate, from))
  return {
    wall = tonumber(text:match '"seconds":([%d.]+)'), cpu = tonumber(text:match '"cpu_seconds":([%d.]+)'),
    result = ("rows=%s sum=%s"):format(text:match '"rows":(%d+)', text:match '"sum":"(%x+)"'),
  }
end

-- What replayed rows cost to make: the longest of the subtasks, and the CPU time of all.
local function making(text)
  local wall, cpu = 0, 0
  for w, c in text:gmatch "made its rows in ([%d.]+) s, CPU ([%d.]+) s" do
    wall, cpu = math.max(wall, tonumber(w)), cpu + tonumber(c)
  end
  return wall, cpu
end

local function command_of(query, from, parallelism)
  return ("%s/weir run --json --log-level debug --workers %d -p %d jobs/nexmark/q%d.lua count=%d rate=%d lite=true "
    .. "from=%s sink=checksum"):format(build, parallelism, parallelism, query, events, rate, from)
end

--- The same of a job; times are those of the whole process, but for the making of replayed rows.
local function job(query, from, parallelism)
  local text = capture(("bash -c \"TIMEFORMAT='took %%R %%U %%S'; time %s\"")
    :format(command_of(query, from, parallelism)))
  local user, sys = text:match "took [%d.]+ ([%d.]+) ([%d.]+)"
  local making_wall, making_cpu = making(text)
  return {
    wall = tonumber(text:match '"seconds":([%d.]+)') - making_wall, cpu = user + sys - making_cpu,
    result = text:match "rows=%d+ sum=%x+",
  }
end

--- Wall seconds of the longer of two jobs side by side, one worker each.
local function pair(query, from)
  local command, longest = command_of(query, from, 1), 0
  for seconds in capture(("%s & %s & wait"):format(command, command)):gmatch '"seconds":([%d.]+)' do
    longest = math.max(longest, tonumber(seconds))
  end
  if longest == 0 then error(command .. "\nfailed side by side", 0) end
  return longest
end

local function million_a_second(seconds) return events / seconds / 1e6 end

--- Of the rounds of one kind of run: the medians of million events a second of CPU and of wall time, and the
--- wall seconds of the fastest.
local function rates(runs)
  local cpu, wall, best = {}, {}, math.huge
  for i, run in ipairs(runs) do
    cpu[i], wall[i], best = million_a_second(run.cpu), million_a_second(run.wall), math.min(best, run.wall)
  end
  return { cpu = median(cpu), wall = median(wall), best = best, result = runs[1].result }
end

-- q12 gives any number of rows, by the clock.
local function agree(query, a, b)
  if query == 12 then a, b = a:match "sum=.*", b:match "sum=.*" end
  return a == b
end

local function verdict(query, from, c, one)
  local goal = goals[query]
  if not c then return "     ", nil end
  local share = one.cpu / c.cpu
  if from == "memory" then return ("%5.2f"):format(share), share end
  local met = share >= goal.share and one.cpu >= (goal.rate or 0)
  local asked = ("goal %.1f%s"):format(goal.share, goal.rate and (", %d M/s"):format(goal.rate) or "")
  return ("%5.2f  %s%s"):format(share, asked, met and "" or "  MISSED"), share
end

local json

local function measure(query, from)
  local runs, side = { c = {}, one = {}, two = {} }, math.huge
  for i = 1, rounds do
    runs.c[i] = goals[query] and reference(query, from == "memory" and from or "")
    runs.one[i] = job(query, from, 1)
    runs.two[i] = job(query, from, 2)
    if from ~= "memory" then side = math.min(side, pair(query, from)) end
  end
  local c, one, two = goals[query] and rates(runs.c), rates(runs.one), rates(runs.two)
  local times, of = one.best / two.best, 2 * one.best / side
  local note, share = verdict(query, from, c, one)
  if from ~= "memory" and times < times_goal then note = ("%s  %.1f times MISSED"):format(note, times_goal) end
  if c and not agree(query, c.result, one.result) or not agree(query, one.result, two.result) then
    failed = true
    note = ("RESULTS DIFFER: C %s, one %s, two %s"):format(c and c.result, one.result, two.result)
  end
  print(("q%-3d %-9s %7s | %7.2f %7.2f | %7.2f %7.2f %6.2f %6.2f %5s | %s"):format(query, from,
    c and ("%.2f"):format(c.cpu) or "", one.cpu, one.wall, two.cpu, two.wall, times, two.wall / one.wall,
    from ~= "memory" and ("%.2f"):format(of) or "", note))
  json:write(('{"query":%d,"from":"%s","c":%.3f,"cpu_1":%.3f,"wall_1":%.3f,"cpu_2":%.3f,"wall_2":%.3f,'
    .. '"times":%.3f,"of":%.3f,"share":%.3f}\n'):format(query, from, c and c.cpu or 0, one.cpu, one.wall, two.cpu,
    two.wall, times, of, share or 0))
end

local queries = {}
for i = 2, #arg do queries[#queries + 1] = tonumber(arg[i]) end
if #queries == 0 then
  for query = 0, 22 do
    local file = io.open(("jobs/nexmark/q%d.lua"):format(query))
    if file then
      file:close()
      queries[#queries + 1] = query
    end
  end
end

print(("%d events, %d a second of event time, lite; million events a second"):format(events, rate))
print "                        C |  one worker     |  two workers                           | C's share"
print "query               CPU s |   CPU s  wall s |   CPU s  wall s  times median    of |"
json = assert(io.open(out .. "/nexmark.json", "w"))
for _, query in ipairs(queries) do
  for from in origins:gmatch "%a+" do measure(query, from) end
end
json:close()
os.exit(failed and 1 or 0)
