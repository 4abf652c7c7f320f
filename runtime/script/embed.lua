-- SPDX-License-Identifier: Apache-2.0
-- embed: turns lua/ and stdlib/ into bytecode inside a C file, beside the border's declarations.
-- usage: luajit embed.lua OUT.c API.cdef FILE.lua… NAME.cdef…
-- NAME.cdef becomes the module weir.internal.NAME_cdef, which returns the text.

local out_path, cdef_path = arg[1], arg[2]

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

local cdef = read(cdef_path)
local files = {}
for i = 3, #arg do
  local path = arg[i]
  local declares = path:match "([^/]+)%.cdef$"
  local name = declares and "weir.internal." .. declares .. "_cdef"
    or path:gsub("^lua/", ""):gsub("^stdlib/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
  local chunk = assert(loadstring(declares and ("return %q"):format(read(path)) or read(path), "@" .. path))
  -- without line numbers: every subtask holds its own copy, and messages name lines of the script only
  files[#files + 1] = { name = name, code = string.dump(chunk, true) }
end
-- The names of the bytecodes of the very LuaJIT that is linked in.
local vmdef = assert(package.searchpath("jit.vmdef", package.path), "jit/vmdef.lua is missing: package luajit")
files[#files + 1] = { name = "jit.vmdef", code = string.dump(assert(loadfile(vmdef)), true) }
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
out:close()
