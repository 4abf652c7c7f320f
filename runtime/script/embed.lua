-- SPDX-License-Identifier: Apache-2.0
-- embed: turns lua/ and stdlib/ into bytecode inside a C file, beside the border's declarations.
-- usage: luajit embed.lua OUT.c API.cdef HARNESS.cdef FILE.lua…

local out_path, cdef_path, harness_path = arg[1], arg[2], arg[3]

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function c_bytes(text)
  local parts = {}
  for i = 1, #text do
    parts[i] = text:byte(i) .. (i % 24 == 0 and ",\n" or ",")
  end
  return table.concat(parts)
end

-- FNV-1a over the declarations: both sides of the border must have read the same text.
local function hash(text)
  local h = 2166136261
  for i = 1, #text do
    h = bit.bxor(h, text:byte(i))
    h = bit.tobit(h * 16777619ULL % 4294967296ULL + 0ULL) -- keep 32 bits
  end
  return bit.tohex(h)
end

local cdef = read(cdef_path)
local files = {}
for i = 4, #arg do
  local path = arg[i]
  local name = path:gsub("^lua/", ""):gsub("^stdlib/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
  local chunk = assert(loadstring(read(path), "@" .. path))
  -- without line numbers: every subtask holds its own copy, and messages name lines of the script only
  files[#files + 1] = { name = name, code = string.dump(chunk, true) }
end
-- The names of the bytecodes of the very LuaJIT that is linked in.
local vmdef = assert(package.searchpath("jit.vmdef", package.path), "jit/vmdef.lua is missing: package luajit")
files[#files + 1] = { name = "jit.vmdef", code = string.dump(assert(loadfile(vmdef)), true) }
-- Only the states of tests need these: no subtask is to hold them.
files[#files + 1] = {
  name = "weir.internal.harness_cdef", code = string.dump(assert(loadstring(("return %q"):format(read(harness_path)))), true),
}
table.sort(files, function(a, b) return a.name < b.name end)

local out = assert(io.open(out_path, "w"))
out:write('#include "script/embed.h"\n\n')
for i, file in ipairs(files) do
  out:write(("static const unsigned char code_%d[] = {\n%s};\n"):format(i, c_bytes(file.code)))
end
out:write("const struct wr_embedded wr_embedded[] = {\n")
for i, file in ipairs(files) do
  out:write(('\t{"%s", (const char *)code_%d, sizeof code_%d},\n'):format(file.name, i, i))
end
out:write('};\nconst unsigned wr_embedded_count = ' .. #files .. ';\n')
out:write(("static const unsigned char cdef[] = {\n%s0};\n"):format(c_bytes(cdef)))
out:write("const char *const wr_api_cdef = (const char *)cdef;\n")
out:write(('const char wr_api_hash[] = "%s";\n'):format(hash(cdef)))
out:close()
