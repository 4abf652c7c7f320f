--- A job that waits for input uses next to no processor time: counted by the kernel, over one second.

local place = require "support.place"
local shell = require "support.shell"

before_each(place.make)
after_each(place.remove)

local script = [[
local weir = require "weir"
local job = weir.job { name = "idle" }
job:source(weir.stdin()):key_by "line":count():sink(weir.stdout { format = weir.json() })
return job
]]

-- The job has started when the first record's answer is there.
local watch = ([[
mkfifo in
$W run -q -p 2 job.lua <in >out & job=$!
exec 3>in; echo first >&3
%s
used() { cat /proc/$job/task/*/schedstat | awk '{ s += $1 } END { printf "%%d\n", s }'; }
used; sleep 1; used
exec 3>&-; wait $job
]]):format(shell.await("[ -s out ]", "$job"))

describe("an idle job", function()
  it("uses less than 0.5 percent of a processor", function()
    place.write("job.lua", script)
    local out, code, err = place.sh(watch)
    assert.equal(0, code, err)
    local before, after = out:match "(%d+)\n(%d+)\n"
    assert.is_truthy(tonumber(after) - tonumber(before) < 5e6,
      ("%d ns of processor time in an idle second"):format(tonumber(after) - tonumber(before)))
  end)
end)
