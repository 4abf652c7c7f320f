--- The Nexmark queries give the published checksums, and at other rates what plain Lua gives.

local shell = require "support.shell"
local plain = require "support.nexmark"

local function run(query, options)
  local out, code, err = shell.run(("%s run -q jobs/nexmark/q%d.lua sink=checksum %s"):format(
    shell.weir, query, options))
  assert.equal(0, code, err)
  return (out:gsub("\n$", ""))
end

-- Of 1,000,000 events at 100,000 a second. The number of rows of q12 depends on the clock.
local published = {
  [0] = "rows=920000 sum=aabb3a7c85314860",
  [1] = "rows=920000 sum=16dd3ba87d179dca",
  [2] = "rows=6833 sum=2ffcbdd7349dd92d",
  [3] = "rows=6192 sum=00f08d27cc38a8a3",
  [4] = "rows=57646 sum=17441cb5a1b207df",
  [5] = "rows=9 sum=1f83cd9dea1cdc25",
  [7] = "rows=1 sum=505b1b9744c5bbbd",
  [8] = "rows=10404 sum=8d692c48d0ab037a",
  [11] = "rows=19918 sum=27e6136e4f1235ec",
  [12] = "sum=da25461544b1492f",
}

local function exists(query)
  local file = io.open(("jobs/nexmark/q%d.lua"):format(query))
  if file then file:close() end
  return file ~= nil
end

local queries = {}
for query = 0, 22 do
  if exists(query) then queries[#queries + 1] = query end
end

describe("a million events at 100,000 a second", function()
  for _, query in ipairs(queries) do
    local want = published[query]
    if want then
      it(("give the published rows and checksum of q%d at parallelism 1 and 2, also lite and replayed")
        :format(query), function()
        local one = run(query, "-p 1 count=1000000")
        local two = run(query, "-p 2 count=1000000 lite=true from=memory")
        assert.equal(want, one:sub(-#want))
        assert.equal(want, two:sub(-#want))
      end)
    end
  end
end)

for _, given in ipairs { { 30001, 100000 }, { 20000, 1000 }, { 12345, 33 }, { 9999, 300000 } } do
  local count, rate = unpack(given)
  local arguments = (" count=%d rate=%d"):format(count, rate)
  local expected

  describe(("%d events at %d a second"):format(count, rate), function()
    setup(function()
      local out, code, err = shell.run(shell.weir .. " run -q tests/e2e/nexmark_events.lua" .. arguments)
      assert.equal(0, code, err)
      local events = plain.events(out)
      assert.equal(count, #events.bids + #events.auctions + #events.persons)
      expected = {}
      for _, query in ipairs(queries) do
        local rows, note = plain.queries[query](events)
        local text = plain.checksum(query, rows, note == "last")
        if note == "any number of rows" then text = text:match "sum=.*" end
        expected[query] = text
      end
    end)

    for _, query in ipairs(queries) do
      it(("give at parallelism 1 and 2 what plain Lua gives for q%d"):format(query), function()
        for parallelism = 1, 2 do
          local got = run(query, "-p " .. parallelism .. arguments)
          assert.equal(expected[query], got:sub(-#expected[query]))
        end
      end)
    end
  end)
end

describe("a Nexmark job", function()
  it("prints its results, or drops them", function()
    local out = shell.run(shell.weir .. " run -q jobs/nexmark/q2.lua count=20000")
    assert.matches('^{"auction":%d+,"price":%d+}\n', out)
    assert.equal("", (shell.run(shell.weir .. " run -q jobs/nexmark/q2.lua count=1000 sink=discard")))
  end)

  it("says what the arguments may be", function()
    local _, code, err = shell.run(shell.weir .. " run jobs/nexmark/q0.lua count=10 sink=nowhere")
    assert.equal(2, code)
    assert.is_truthy(err:find("sink=nowhere: it is print, discard or checksum", 1, true), err)
    _, code, err = shell.run(shell.weir .. " run jobs/nexmark/q0.lua from=paper")
    assert.equal(2, code)
    assert.is_truthy(err:find('option "from" must be one of "generator", "memory"', 1, true), err)
  end)

  it("is checked without a warning", function()
    for _, query in ipairs(queries) do
      local out, code, err = shell.run(("%s check jobs/nexmark/q%d.lua"):format(shell.weir, query))
      assert.equal(0, code, err)
      assert.is_truthy(out:find("no warnings", 1, true), out)
    end
  end)

  it("is drawn in docs/graphs/nexmark.md as weir graph draws it", function()
    local out, code, err = shell.run(shell.weir .. " lua docs/graphs/graphs.lua " .. shell.weir)
    assert.equal(0, code, err)
    assert.equal(shell.read "docs/graphs/nexmark.md", out)
  end)

  it("of q13 reads its side file", function()
    local folder = shell.folder()
    local file = assert(io.open(folder .. "/side.csv", "w"))
    file:write "key,value\n"
    for n = 0, 9999 do file:write(n, ",side-", n, "\n") end
    file:close()
    local arguments = " -p 2 count=20000 side=" .. folder .. "/side.csv"
    assert.equal(run(13, "-p 1 count=20000"), run(13, arguments))
    shell.remove(folder)
  end)
end)
