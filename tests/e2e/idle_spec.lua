--- A job that waits for input uses next to no processor time: counted by the kernel, over one second.

local shell = require "support.shell"

local script = [[
local weir = require "weir"
local job = weir.job { name = "idle" }
job:source(weir.stdin()):key_by "line":count():sink(weir.stdout { format = weir.json() })
return job
]]

-- The job has started when the first record's answer is there.
local watch = [[
cd '%s'; mkfifo in
%s run -q -p 2 job.lua <in >out & pid=$!
exec 3>in; echo first >&3
until [ -s out ] || ! kill -0 $pid; do sleep 0.02; done
used() { cat /proc/$pid/task/*/schedstat | awk '{ s += $1 } END { printf "%%d\n", s }'; }
used; sleep 1; used
exec 3>&-; wait $pid; echo "code $?"
]]

describe("an idle job", function()
  it("uses less than 0.5 percent of a processor", function()
    local folder = shell.folder()
    local f = assert(io.open(folder .. "/job.lua", "w"))
    f:write(script)
    f:close()
    local weir = shell.weir:match "^/" and shell.weir or os.getenv "PWD" .. "/" .. shell.weir
    local out = shell.run(watch:format(folder, weir))
    shell.remove(folder)
    local before, after, code = out:match "(%d+)\n(%d+)\ncode (%d+)"
    assert.equal("0", code, out)
    assert.is_truthy(tonumber(after) - tonumber(before) < 5e6,
      ("%d ns of processor time in an idle second"):format(tonumber(after) - tonumber(before)))
  end)
end)
