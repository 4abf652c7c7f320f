--- tidy: the rules of the tree that a script can check, one line a finding: file:line: what.
--- usage: luajit tests/tidy/tidy.lua [--tap]
---
--- Each rule carries two examples, a line it must find and one it must let pass, and every run
--- tries them first: a rule that has gone blind fails before it praises the tree.

-- ---- the layers: a folder includes only from rows below it; folders on one row do not see each other ----

local rows = {
  { "base" }, { "record", "module", "heap" }, { "exchange", "state", "checkpoint", "stream" }, { "savepoint", "tiered" }, { "task" },
  { "time", "format" }, { "commit" }, { "publish" },
  { "script", "connect", "operator", "window", "nexmark", "rolling", "wal", "vendor", "kafka", "avro", "msgpack" },
  { "cluster" }, { "harness", "recovery" }, { "control" }, { "main.c" },
}
local row_of = {}
for i, row in ipairs(rows) do
  for _, folder in ipairs(row) do row_of[folder] = i end
end

local function folder_of(path)
  return path:match "^runtime/([^/]+)"
end

-- ---- reading: C without comments and string bodies, line numbers kept ----

local function blank(s)
  return (s:gsub("[^\n]", " "))
end

local function strip_c(text)
  local out, at = {}, 1
  while true do
    local s = text:find("[/\"']", at)
    if not s then break end
    out[#out + 1] = text:sub(at, s - 1)
    local two = text:sub(s, s + 1)
    local e
    if two == "/*" then
      e = select(2, text:find("*/", s + 2, true)) or #text
      out[#out + 1] = blank(text:sub(s, e))
    elseif two == "//" then
      e = (text:find("\n", s, true) or #text + 1) - 1
      out[#out + 1] = blank(text:sub(s, e))
    elseif text:sub(s, s) == "/" then
      e = s
      out[#out + 1] = "/"
    else
      local quote = text:sub(s, s)
      e = s + 1
      while e <= #text and text:sub(e, e) ~= quote and text:sub(e, e) ~= "\n" do
        e = e + (text:sub(e, e) == "\\" and 2 or 1)
      end
      out[#out + 1] = quote .. blank(text:sub(s + 1, e - 1)) .. text:sub(e, e)
    end
    at = e + 1
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out)
end

local function strip_lua(text)
  return (text:gsub("%-%-%[(=*)%[.-%]%1%]", blank):gsub("%-%-[^\n]*", blank))
end

local function each_line(text)
  local n = 0
  return function(_, at)
    if at > #text then return end
    local stop = text:find("\n", at, true) or #text + 1
    n = n + 1
    return stop + 1, text:sub(at, stop - 1), n
  end, nil, 1
end

-- ---- rules ----
-- find(file, say): file has path, text, code (without comments; C also without string bodies).
-- bad and good are { path, text } examples.

local rules = {}
local function rule(r) rules[#rules + 1] = r end

local function is_c(path) return path:match "%.[ch]$" or path:match "%.cc$" end
local function is_lua(path) return path:match "%.lua$" end
local function in_runtime(path) return path:match "^runtime/" end

--- A rule made of Lua patterns tried on each line of code.
local function forbid(r)
  r.find = function(file, say)
    for _, line, n in each_line(r.raw and file.text or file.code) do
      for pattern, message in pairs(r.patterns) do
        local hit = line:match(pattern)
        if hit then say(n, (message:gsub("%%s", function() return hit end))) end
      end
    end
  end
  rule(r)
end

rule {
  name = "a folder includes only from rows below it",
  wants = function(path) return is_c(path) and in_runtime(path) end,
  find = function(file, say)
    local own = folder_of(file.path)
    local row = row_of[own]
    if not row then return say(1, ("folder %s is in no layer: say where it stands in tests/tidy/tidy.lua"):format(own)) end
    for _, line, n in each_line(file.text) do
      local to = line:match '^%s*#%s*include%s+"([^"]+)"'
      local folder = to and to:match "^([^/]+)/"
      if to and not folder then
        say(n, ('"%s": includes are written from runtime/: "folder/file.h"'):format(to))
      elseif folder and not row_of[folder] then
        say(n, ('"%s" is outside the layers'):format(to))
      elseif folder and folder ~= own and row_of[folder] >= row then
        say(n, ("%s must not see %s"):format(own, folder))
      end
    end
  end,
  bad = { "runtime/state/x.c", '#include "exchange/pool.h"' },
  good = { "runtime/state/x.c", '#include "record/row.h"' },
}

forbid {
  name = "only script/ knows lua.h",
  wants = function(path) return is_c(path) and in_runtime(path) and folder_of(path) ~= "script" end,
  raw = true,
  patterns = { ["^%s*#%s*include%s+[<\"](l[uaj][axui][^>\"]*%.hp*)"] = "%s outside script/" },
  bad = { "runtime/task/x.c", "#include <lauxlib.h>" },
  good = { "runtime/task/x.c", "#include <locale.h>" },
}

forbid {
  name = "time comes from base/clock.c",
  wants = function(path) return is_c(path) and in_runtime(path) and path ~= "runtime/base/clock.c" end,
  patterns = {
    ["%f[%w_>.](time)%s*%(%s*[N0&]"] = "%s(): ask the clock table (base/clock.h)",
    ["%f[%w_](clock_gettime)%s*%("] = "%s(): ask the clock table (base/clock.h)",
    ["%f[%w_](gettimeofday)%s*%("] = "%s(): ask the clock table (base/clock.h)",
    ["%f[%w_](ev_time)%s*%("] = "%s(): ask the clock table (base/clock.h)",
    ["%f[%w_](usleep)%s*%("] = "%s(): nothing waits by sleeping",
    ["%f[%w_](nanosleep)%s*%("] = "%s(): nothing waits by sleeping",
  },
  bad = { "runtime/base/log.c", "\tclock_gettime(CLOCK_REALTIME, &t);" },
  good = { "runtime/base/log.c", "\tgmtime_r(&t, &tm); /* never time(NULL) */" },
}

forbid {
  name = "the heap has one door, base/mem.c",
  wants = function(path) return is_c(path) and in_runtime(path) and path ~= "runtime/base/mem.c" end,
  patterns = {
    ["%f[%w_>.](malloc)%s*%("] = "%s(): use base/mem.h with an account",
    ["%f[%w_>.](calloc)%s*%("] = "%s(): use base/mem.h with an account",
    ["%f[%w_>.](realloc)%s*%("] = "%s(): use base/mem.h with an account",
    ["^%s+(free)%s*%("] = "%s(): use base/mem.h with an account",
    ["[;{})]%s*(free)%s*%("] = "%s(): use base/mem.h with an account",
    ["%f[%w_>.](strn?dup)%s*%("] = "%s(): use wr_strdup with an account",
    ["%f[%w_>.](v?asprintf)%s*%("] = "%s(): allocates behind the door",
  },
  bad = { "runtime/state/x.c", "\tfree(p);" },
  good = { "runtime/state/x.c", "\twr_free(&acc, p); kind->free(p);" },
}

forbid {
  name = "vendor types stay out of headers",
  wants = function(path) return path:match "%.h$" and in_runtime(path) end,
  raw = true,
  patterns = { ["^%s*#%s*include%s+[<\"]([%w_/]*)%f[%w_]rdkafka[^>\"]*"] = "rdkafka.h in a header %s",
    ["^%s*#%s*include%s+[<\"](rocksdb/[^>\"]*)"] = "%s in a header",
    ["^%s*#%s*include%s+[<\"](simdjson[^>\"]*)"] = "%s in a header" },
  bad = { "runtime/state/x.h", "#include <rocksdb/c.h>" },
  good = { "runtime/state/x.c", "#include <stdint.h>" },
}

rule {
  name = "what calls itself pure has no clock, socket, file or thread",
  wants = function(path) return is_c(path) and in_runtime(path) end,
  find = function(file, say)
    local top = file.text:match "^%s*/%*.-%*/%s*/%*(.-)%*/" or ""
    if not (" " .. top):lower():find "%Wpure%W" then return end
    for _, line, n in each_line(file.text) do
      local to = line:match '^%s*#%s*include%s+[<"]([^>"]+)'
      if to and (to:match "^base/(%w+)%.h$" and ("clock loop thread notify"):find(to:match "^base/(%w+)", 1, true)
          or to:match "^sys/" or to == "unistd.h" or to == "fcntl.h" or to == "pthread.h" or to == "stdio.h") then
        say(n, to .. " in a file that calls itself pure")
      end
    end
  end,
  bad = { "runtime/exchange/x.c", '/* SPDX */\n/* x: pure merge. */\n#include "base/clock.h"' },
  good = { "runtime/exchange/x.c", '/* SPDX */\n/* x: pure merge. */\n#include "base/rand.h"' },
}

forbid {
  name = "production code knows no tests",
  wants = function(path) -- `weir test` is the one that runs busted
    return (is_c(path) or is_lua(path)) and not path:match "^tests/" and not path:match "^lua/weir/internal/spec"
  end,
  raw = true,
  patterns = {
    ["^%s*#%s*include%s+[<\"]([^>\"]*tests/[^>\"]*)"] = "includes %s",
    ["^%s*#%s*include%s+[<\"](cmocka.h)"] = "includes %s",
    ["^%s*#%s*if.*%f[%w_](TEST)%f[^%w_]"] = "#ifdef %s: faults go through base/fault.h, time through base/clock.h",
    ["require%s*%(?%s*[\"'](tests?[./][^\"']*)"] = "requires %s",
    ["require%s*%(?%s*[\"'](busted[^\"']*)"] = "requires %s",
  },
  bad = { "runtime/base/x.c", "#ifdef TEST" },
  good = { "runtime/base/x.c", "#ifdef WR_DEBUG" },
}

forbid {
  name = "nothing ends the process but base/assert and main",
  wants = function(path)
    return is_c(path) and in_runtime(path) and not path:match "^runtime/base/assert" and path ~= "runtime/main.c"
  end,
  patterns = { ["%f[%w_>.](abort)%s*%("] = "%s(): an invariant is WR_ASSERT, the rest an error",
    ["%f[%w_>.](_?exit)%s*%("] = "%s(): return an error" },
  bad = { "runtime/state/x.c", "\tabort();" },
  good = { "runtime/state/x.c", "\twr_align_abort(a);" },
}

forbid {
  name = "no function that writes without a bound",
  wants = is_c,
  patterns = { ["%f[%w_](v?sprintf)%s*%("] = "%s()", ["%f[%w_](strcpy)%s*%("] = "%s()", ["%f[%w_](strcat)%s*%("] = "%s()",
    ["%f[%w_](gets)%s*%("] = "%s()" },
  bad = { "runtime/base/x.c", "\tstrcpy(a, b);" },
  good = { "runtime/base/x.c", "\tsnprintf(a, sizeof a, b);" },
}

local require_of = "require%s*%(?%s*[\"']"
forbid {
  name = "ffi stays in the internal modules of lua/",
  wants = function(path)
    return is_lua(path) and not path:match "^tests/" and not path:match "^lua/internal/"
      and not path:match "^lua/weir/internal/"
  end,
  patterns = { [require_of .. "(ffi)[\"']"] = "requires %s" },
  bad = { "lua/weir/stream.lua", 'local ffi = require "ffi"' },
  good = { "lua/weir/internal/row.lua", 'local ffi = require("ffi")' },
}
forbid {
  name = "stdlib and jobs stand on the public API",
  wants = function(path) return path:match "^stdlib/.*%.lua$" or path:match "^jobs/.*%.lua$" end,
  patterns = { [require_of .. "(weir%.internal[^\"']*)"] = "requires %s", [require_of .. "(internal[^\"']*)"] = "requires %s",
    [require_of .. "(jit%.?[^\"']*)[\"']"] = "requires %s" },
  bad = { "jobs/x.lua", 'require("weir.internal.row")' },
  good = { "jobs/x.lua", 'require "weir"' },
}

rule {
  name = "a C file starts with its licence and says what it holds",
  wants = is_c,
  find = function(file, say)
    if not file.text:match "^/%* SPDX%-License%-Identifier: Apache%-2%.0 %*/\n" then
      say(1, "the first line is /* SPDX-License-Identifier: Apache-2.0 */")
    elseif not file.text:match "^[^\n]*\n/%*" then
      say(2, "the second line opens a comment: what this file holds, on which thread, why it exists")
    end
  end,
  bad = { "runtime/base/x.c", "#include <x.h>" },
  good = { "runtime/base/x.c", "/* SPDX-License-Identifier: Apache-2.0 */\n/* x: holds x. */" },
}
rule {
  name = "a Lua module says what it holds",
  wants = function(path) return is_lua(path) and not path:match "_spec%.lua$" end,
  find = function(file, say)
    if not file.text:match "^%-%-" then say(1, "the first line is a comment: what this file holds and why it exists") end
  end,
  bad = { "stdlib/x.lua", "local M = {}" },
  good = { "stdlib/x.lua", "--- x: holds x.\nlocal M = {}" },
}

forbid {
  name = "nothing is left for later",
  wants = function(path) return path ~= "tests/tidy/tidy.lua" end,
  raw = true,
  patterns = { ["%f[%w_](TODO)%f[^%w_]"] = "%s", ["%f[%w_](FIXME)%f[^%w_]"] = "%s", ["[-/*#]%s*(XXX)%f[^%w_]"] = "%s",
    ["[-/*#]%s*(HACK)%f[^%w_]"] = "%s" },
  bad = { "runtime/base/x.c", "/* TODO */" },
  good = { "runtime/base/x.c", "/* mktemp XXXXXX */" },
}
forbid {
  name = "no path of a machine",
  wants = function(path) return path ~= "tests/tidy/tidy.lua" end,
  raw = true,
  patterns = { ["%f[^%z%s\"'(=:](/home/[%w._/-]*)"] = "%s", ["%f[^%z%s\"'(=:](/root/[%w._/-]*)"] = "%s",
    ["%f[^%z%s\"'(=:](/home/%l[%w._/-]*)"] = "%s", ["%f[^%z%s\"'(=:](/tmp/%l[%w._/-]*)"] = "%s" },
  bad = { "jobs/x.lua", 'path = "/home/x"' },
  good = { "jobs/x.lua", 'path = "books/home/x"' },
}

forbid {
  name = "tests neither sleep nor are switched off",
  wants = function(path) return path:match "^tests/" and path ~= "tests/tidy/tidy.lua" end,
  patterns = { ["%f[%w_](usleep)%s*%("] = "%s(): wait for a condition", ["%f[%w_](nanosleep)%s*%("] = "%s(): wait for a condition",
    ["%f[%w_](sleep)%s*%(%s*%d"] = "%s(): wait for a condition", ["%f[%w_](pending)%s*%("] = "%s(): no test is switched off",
    ["%f[%w_](skip)%s*%(%s*%)"] = "%s(): no test is switched off" },
  bad = { "tests/unit/base/x_test.c", "\tsleep(1);" },
  good = { "tests/unit/base/x_test.c", "\twr_clock_manual_advance(&c, 1);" },
}

rule {
  name = "a file is a chapter",
  wants = function(path) return (is_c(path) or is_lua(path)) and not path:match "^tests/" end,
  find = function(file, say)
    local lines, start = 0, nil
    for _, line, n in each_line(file.text) do
      lines = n
      if is_c(file.path) then
        if line:match "^{" then start = n end
        if line:match "^}" and start then
          if n - start > 100 then say(start, ("a function of %d lines: a noun is missing"):format(n - start)) end
          start = nil
        end
      end
    end
    if lines > 800 then say(1, ("%d lines: two files"):format(lines)) end
  end,
  bad = { "runtime/base/x.c", ("x\n"):rep(801) },
  good = { "runtime/base/x.c", ("x\n"):rep(800) },
}
rule {
  name = "a folder is a part",
  wants = function() return false end,
  whole = function(paths, say)
    local count = {}
    for _, path in ipairs(paths) do
      local folder = path:match "^(runtime/[^/]+)/[^/]+%.cc?$"
      if folder then count[folder] = (count[folder] or 0) + 1 end
    end
    for folder, n in pairs(count) do
      if n > 14 then say(folder, ("%d C files: a noun is missing"):format(n)) end
    end
  end,
}
rule {
  name = "tests mirror sources",
  wants = function() return false end,
  whole = function(paths, say)
    local known = {}
    for _, path in ipairs(paths) do known[path:match "^runtime/([^/]+)/" or ""] = true end
    for _, path in ipairs(paths) do
      local folder = path:match "^tests/unit/([^/]+)/.*%.c$"
      if folder and not known[folder] then say(path, "there is no runtime/" .. folder) end
      if path:match "^tests/unit/.*%.c$" and not path:match "_test%.c$" then say(path, "is built by nobody: *_test.c are programs") end
    end
  end,
}

-- ---- running ----

local function load_file(path, text)
  local code = text
  if is_c(path) then code = strip_c(text) elseif is_lua(path) then code = strip_lua(text) end
  return { path = path, text = text, code = code }
end

local function findings_of(r, file)
  local found = {}
  if r.wants(file.path) then r.find(file, function(n, what) found[#found + 1] = { file.path .. ":" .. n, what } end) end
  return found
end

local function prove(r)
  if not r.bad then return end
  local bad, good = load_file(r.bad[1], r.bad[2]), load_file(r.good[1], r.good[2])
  if #findings_of(r, bad) == 0 then error(("rule %q does not find its bad example"):format(r.name), 0) end
  if #findings_of(r, good) > 0 then error(("rule %q finds fault with its good example"):format(r.name), 0) end
end

local function tree()
  local paths = {}
  local pipe = assert(io.popen("find runtime lua stdlib jobs tests packaging Makefile README.md .ci -type f 2>/dev/null | sort"))
  for path in pipe:lines() do
    if not path:match "/corpus/" and not path:match "%.patch$" then paths[#paths + 1] = path end
  end
  pipe:close()
  assert(#paths > 0, "tidy runs in the top folder of the tree")
  return paths
end

local function main(tap)
  local paths, files, failed = tree(), {}, 0
  for i, path in ipairs(paths) do
    local f = assert(io.open(path, "rb"))
    files[i] = load_file(path, f:read "*a")
    f:close()
  end
  for i, r in ipairs(rules) do
    prove(r)
    local found = {}
    for _, file in ipairs(files) do
      for _, f in ipairs(findings_of(r, file)) do found[#found + 1] = f end
    end
    if r.whole then r.whole(paths, function(path, what) found[#found + 1] = { path .. ":1", what } end) end
    table.sort(found, function(a, b) return a[1] < b[1] end)
    failed = failed + #found
    if tap then print(("%s %d - %s"):format(#found == 0 and "ok" or "not ok", i, r.name)) end
    for _, f in ipairs(found) do print(("%s%s: %s"):format(tap and "# " or "", f[1], f[2])) end
  end
  if tap then print("1.." .. #rules) end
  os.exit(failed == 0 and 0 or 1)
end

main(arg[1] == "--tap")
