--- The house itself: what a newcomer types, and the scripts that count and install.

local place = require "support.place"
local shell = require "support.shell"

-- Make, free of the make that runs this spec.
local make = "env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make --no-print-directory"

local function write(path, text)
  local f = assert(io.open(path, "w"))
  f:write(text)
  f:close()
  os.execute("chmod +x " .. path)
end

describe("make help", function()
  it("has a line for every target", function()
    local out = shell.run(make .. " help")
    for target in ("all demo test unit spec e2e sim fuzz bench tidy format lint docs mutants install clean help"):gmatch "%a%w*" do
      assert.is_truthy(out:find("\n  make " .. target .. " +%a") or out:find("^  make " .. target .. " +%a"), target)
    end
  end)

  it("works where there is neither compiler nor pkg-config nor luajit", function()
    local bare = shell.folder()
    for tool in ("make sh awk find sort echo env cat tr"):gmatch "%a+" do
      os.execute(("ln -s $(command -v %s) %s/%s"):format(tool, bare, tool))
    end
    local out, code, err = shell.run(("PATH=%s; %s help"):format(bare, make))
    shell.remove(bare)
    assert.equal(0, code, err)
    assert.equal("", err)
    assert.is_truthy(out:find "make demo")
  end)
end)

describe("tests/support/deps", function()
  local fake

  --- A machine whose dpkg knows the given packages, and whose apt-get writes down what it is asked for.
  local function machine(installed)
    fake = shell.folder()
    write(fake .. "/dpkg-query", "#!/bin/sh\nfor p in " .. installed .. "; do echo installed $p; done\n")
    write(fake .. "/apt-get", "#!/bin/sh\necho \"$@\" >>" .. fake .. "/asked\n")
    write(fake .. "/sudo", '#!/bin/sh\nexec "$@"\n')
  end
  after_each(function() shell.remove(fake) end)

  local build = "gcc g++ pkg-config luajit libluajit-5.1-dev libev-dev libxxhash-dev libsimdjson-dev "
    .. "libzstd-dev zlib1g-dev libcurl4-openssl-dev librocksdb-dev librdkafka-dev libmsgpack-dev"

  it("shows the apt-get line and installs what is missing", function()
    machine(build:gsub("luajit ", "", 1):gsub("libev%-dev ", ""))
    local out, code = shell.run(("env -u DEPS PATH=%s:$PATH tests/support/deps build"):format(fake))
    assert.equal(0, code)
    assert.is_truthy(out:find("apt-get install -y --no-install-recommends luajit libev-dev\n", 1, true), out)
    assert.is_truthy(shell.read(fake .. "/asked"):find "install .* luajit libev%-dev\n")
  end)

  it("says and does nothing when nothing is missing", function()
    machine(build)
    assert.equal("", (shell.run(("env -u DEPS PATH=%s:$PATH tests/support/deps build"):format(fake))))
    assert.is_nil(io.open(fake .. "/asked"))
  end)

  it("does nothing with DEPS=no", function()
    machine ""
    assert.equal("", (shell.run(("PATH=%s:$PATH DEPS=no tests/support/deps test"):format(fake))))
    assert.is_nil(io.open(fake .. "/asked"))
  end)
end)

describe("weir", function()
  it("has help with examples for each verb", function()
    local verbs = 0
    for verb in shell.run(shell.weir .. " help"):gmatch "\n  (%l+) " do
      verbs = verbs + 1
      local out, code, err = shell.run(shell.weir .. " " .. verb .. " --help")
      assert.equal(0, code, err)
      assert.is_truthy(out:find("usage: weir " .. verb, 1, true), out)
      assert.is_truthy(out:match("examples:\n.*weir " .. verb), out)
    end
    assert.is_true(verbs >= 7)
  end)
end)

describe("tests/support/run", function()
  local tree

  --- Runs the e2e suite of a tree that has the given shell tests, for `timeout` seconds each; gives the last line,
  --- all, and the exit code.
  local function count(programs, timeout)
    tree = shell.folder()
    os.execute(("mkdir -p %s/tests/support %s/tests/e2e && cp tests/support/run %s/tests/support/"):format(tree, tree, tree))
    write(tree .. "/Makefile", "e2e-build:\n")
    for name, text in pairs(programs) do write(("%s/tests/e2e/%s.sh"):format(tree, name), text) end
    local out, code = shell.run(("env -u MAKEFLAGS -u BUILD -u B -u FILTER TIMEOUT=%d %s/tests/support/run e2e")
      :format(timeout or 60, tree))
    shell.remove(tree)
    return out:match "([^\n]*)\n$", out, code
  end

  it("counts over all programs", function()
    local last, _, code = count { a = "echo ok - 1; echo ok - 2", b = "echo 1..1; echo ok 1 - x" }
    assert.equal("3 passed, 0 failed", last)
    assert.equal(0, code)
  end)

  it("fails for a failed test, and shows why", function()
    local last, out, code = count { a = "echo ok - 1; echo not ok - two; echo '# because'" }
    assert.equal("1 passed, 1 failed", last)
    assert.is_truthy(out:find "because")
    assert.equal(1, code)
  end)

  it("lets a crash hide nothing", function()
    local last, out = count { a = "echo ok - 1; kill -SEGV $$", b = "echo ok - 1" }
    assert.equal("2 passed, 1 failed", last)
    assert.is_truthy(out:find "signal 11", out)
  end)

  it("counts tests that were planned and lost", function()
    assert.equal("1 passed, 2 failed", (count { a = "echo 1..3; echo ok 1 - one" }))
  end)

  it("counts a skipped test, an empty program and one that does not end as failures", function()
    assert.equal("0 passed, 1 failed", (count { a = "echo 'ok 1 - # SKIP later'" }))
    assert.equal("0 passed, 1 failed", (count { a = "true" }))
    assert.equal("1 passed, 1 failed", (count({ a = "echo ok - 1; while :; do :; done" }, 1)))
  end)

  it("counts its own when another run goes on in the same folder", function()
    local last, out = count { a = "FILTER=b tests/support/run e2e && echo ok - 1", b = "echo ok - 1" }
    assert.equal("2 passed, 0 failed", last, out)
  end)

  it("fails when there is nothing to run", function()
    local last, _, code = count {}
    assert.equal("0 passed, 0 failed", last)
    assert.equal(1, code)
  end)
end)

describe("README.md", function()
  local readme = shell.read "README.md"

  it("has a first job that gives what it says", function()
    local folder = shell.folder()
    write(folder .. "/visits.lua", readme:match "```lua\n(.-)```")
    local command, expected = readme:match "```console\n%$ (.-visits%.lua)\n(.-)```"
    command = command:gsub("build/weir", shell.weir):gsub("visits%.lua", folder .. "/visits.lua")
    local out, code, err = shell.run(command)
    shell.remove(folder)
    assert.equal(0, code, err)
    assert.equal(expected, out)
  end)

  it("has a session that changes a running job, and gives what it says but for numbers", function()
    local section = readme:match "\n## Change a running job\n(.-)\n## "
    place.make()
    place.write("visits.lua", section:match "```lua\n(.-)```")
    place.write("rules.lua", section:match "`(return {.-})`")
    place.write("fix.lua", section:match "%$ cat fix.lua\n(.-)%$ ")
    local session, steps = section:match "```console\n(.-)```", { "cp rules.lua first.lua" }
    local function step(code) steps[#steps + 1] = code end
    for command, gives in (session:gsub("%$ ", "\1") .. "\1"):gmatch "([^\n\1]+)\n([^\1]*)" do
      step(("echo '$ %s'"):format((command:gsub("'", "'\\''"))))
      command = command:gsub("build/weir", "$W"):gsub(" +#.*", "")
      local says = gives:match '^{"says":"(.-)"'
      if command:find "^tail" then
        step(shell.await(("tail -n 1 out | grep -q '%s'"):format(says), "$job"))
      elseif says then
        step(("cp first.lua rules.lua; %s >out2 2>log & job=$!"):format(command))
        step(shell.await("grep -q user3 out2", "$job"))
        command = "grep -m 1 user3 out2; $W stop -q visits >stopped"
      end
      step(command:find "&$" and command .. " job=$!\n" .. shell.await("[ -s out ]", "$job") or command .. " 2>&1")
    end
    local out, code, err = place.sh(table.concat(steps, "\n"))
    place.remove()
    assert.equal(0, code, out .. err)
    local function without_numbers(text)
      return (text:gsub("%S+/rules.lua:", "rules.lua:"):gsub("[%d.]+ m?s%f[%W]", "T"):gsub("[%d.]+ k?B", "SIZE"):gsub("%d+", "N"))
    end
    assert.equal(without_numbers(session), without_numbers(out))
  end)

  it("lists each option of weir run, and no other", function()
    local help = shell.run(shell.weir .. " help run")
    local listed, known = readme:match "## Options\n(.-)\n## ", {}
    for option in help:gmatch "\n  [^\n]-%-%-(%l[%l-]*)" do
      known[option] = true
      if option ~= "help" and not option:find "^fault" and option ~= "config" then
        assert.is_truthy(listed:find("--" .. option, 1, true), option)
      end
    end
    for option in listed:gmatch "\n| [^|]*" do
      for name in option:gmatch "%-%-(%l[%l-]*)" do assert.is_true(known[name], name) end
    end
  end)

  it("names only files that there are", function()
    for folder, begin in readme:match "## A tour.-\n(|.-)\n\n":gmatch "| `([^`]*)`[^|]*|[^|]*|([^|]*)|" do
      for file in begin:gmatch "`([^`]+)`" do
        if folder:match "/$" then assert.is_truthy(io.open(folder .. file) or io.open("lua/weir/" .. file), folder .. file) end
      end
    end
    for job in readme:match "| Job |.-\n\n":gmatch "`([%w_]+%.lua)`" do assert.is_truthy(io.open("jobs/" .. job), job) end
  end)
end)

describe("make install", function()
  it("puts program, man page, completions and unit of systemd under PREFIX, and the program runs from any folder", function()
    local to = shell.folder()
    local _, code, err = shell.run(("%s -s install PREFIX=/usr DESTDIR=%s"):format(make, to))
    assert.equal(0, code, err)
    local files = shell.run(("cd %s && find . -type f | LC_ALL=C sort"):format(to))
    local version = shell.run(("cd / && %s/usr/bin/weir version"):format(to))
    local page = shell.read(to .. "/usr/share/man/man1/weir.1")
    local unit = shell.read(to .. "/usr/lib/systemd/system/weir@.service")
    shell.remove(to)
    assert.equal("./usr/bin/weir\n./usr/lib/systemd/system/weir@.service\n./usr/lib/weir/weir-avro.so\n./usr/lib/weir/weir-http.so\n"
      .. "./usr/lib/weir/weir-kafka.so\n./usr/lib/weir/weir-msgpack.so\n./usr/lib/weir/weir-rocksdb.so\n"
      .. "./usr/share/bash-completion/completions/weir\n./usr/share/man/man1/weir.1\n"
      .. "./usr/share/zsh/site-functions/_weir\n", files)
    assert.is_truthy(version:match "^weir %d+%.%d+%.%d+\n$")
    assert.is_truthy(page:find("\\fB\\-\\-buffer\\-timeout", 1, true))
    assert.matches("\nExecStart=/usr/bin/weir run ", unit)
  end)
end)

describe("bash completion", function()
  local function complete(words)
    local script = [[
      PATH=%s:$PATH; . packaging/weir.bash
      COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _weir; echo "${COMPREPLY[*]}"]]
    local folder = shell.weir:match "^(.*)/"
    local out = shell.run(("bash -c '%s'"):format(script:format(folder, words)))
    return out
  end

  it("knows verbs, options, choices and scripts, from the program", function()
    assert.equal("graph\n", complete "weir gr")
    assert.equal("checkpoint\n", complete "weir checkp")
    assert.equal("--buffer-timeout\n", complete "weir run --buffer-t")
    assert.equal("json table raw\n", complete 'weir run --format ""')
    assert.equal("jobs/word_count.lua\n", complete "weir run jobs/wor")
  end)
end)
