-- SPDX-License-Identifier: Apache-2.0
--- docs: writes the reference of the Lua API from the annotations in the sources.
--- usage: luajit packaging/docs.lua [--check] OUT LUA-FOLDER STDLIB-FOLDER
---
--- What `require "weir"` gives is read from the table in LUA-FOLDER/weir.lua; every module of
--- STDLIB-FOLDER is public, and so is the test kit, LUA-FOLDER/weir/test.lua. Words come from `---` comments
--- above functions and classes, option tables from the `---@class` that a parameter names. `---@private` keeps
--- a function out.
--- With --check nothing is written: the exit code tells if OUT is up to date.

---------------------------------------------------------------- reading

---@class Doc
---@field text string[]
---@field params { name: string, type: string, text: string }[]
---@field returns string[]
---@field fields { name: string, type: string, text: string }[]

--- Splits "fun(a: b): c the rest" into type and rest: a type ends at a blank outside of brackets that does
--- not follow a ":" or ",".
local function split_type(s)
  local depth, at = 0, 1
  while at <= #s do
    local c = s:sub(at, at)
    if c:match "[%(<{%[]" then depth = depth + 1 elseif c:match "[%)>}%]]" then depth = depth - 1 end
    if c == " " and depth == 0 and not s:sub(at - 1, at - 1):match "[:,|]" then break end
    at = at + 1
  end
  return s:sub(1, at - 1), s:sub(at + 1)
end

local function parse_block(lines)
  local doc = { text = {}, params = {}, returns = {}, fields = {} }
  local last -- a parameter or field, whose words may go on in the lines behind it
  for _, line in ipairs(lines) do
    local tag, rest = line:match "^@(%a+)%s*(.*)$"
    if not tag and last then
      last.text = last.text .. " " .. line:gsub("^ ", "")
    elseif not tag then
      doc.text[#doc.text + 1] = (line:gsub("^ ", ""))
    elseif tag == "class" then
      doc.class, doc.about = rest:match "^([%w_.]+)[^%s]*%s*(.*)$"
      if doc.about:match "^weir%.[%w.]+$" then doc.about = "" end
      doc.about = doc.about:gsub("^weir%.[%w.]+%s+", "")
    elseif tag == "param" then
      local name, more = rest:match "^(%S+)%s+(.*)$"
      local type, text = split_type(more)
      last = { name = name, type = type, text = text }
      doc.params[#doc.params + 1] = last
    elseif tag == "field" then
      local name, more = rest:match "^(%S+)%s+(.*)$"
      local type, text = split_type(more)
      last = { name = name, type = type, text = text }
      doc.fields[#doc.fields + 1] = last
    elseif tag == "return" then
      doc.returns[#doc.returns + 1] = rest
    elseif tag == "alias" then
      last = { text = rest }
      doc.alias = last
    elseif tag == "type" then
      doc.type = rest
    elseif tag == "private" or tag == "package" then
      doc.private = true
    end
  end
  return doc
end

---@class File
---@field path string
---@field top string[] the comment that opens it
---@field functions table<string, Doc> by "M.name" or "methods:name"
---@field order string[] their names as they stand
---@field class_of table<string, string> local table → class

local classes, class_order, aliases = {}, {}, {}

-- Arguments of a function that another one makes: `M.min = extreme("min", less)`.
local function made_args(doc)
  local names = {}
  for i, p in ipairs(doc.params) do names[i] = p.name:gsub("%?$", "") end
  return "(" .. table.concat(names, ", ") .. ")"
end

local function attach(file, doc, line)
  if doc.class then
    classes[doc.class] = doc
    class_order[#class_order + 1] = doc.class
    doc.path = file.path
    local name = line:match "^local ([%w_]+) = "
    if name then file.class_of[name] = doc.class end
    return
  end
  if doc.alias then aliases[#aliases + 1] = doc.alias end
  local name, args = line:match "^function ([%w_]+[.:][%w_]+)(%b())"
  if not name then
    name = line:match "^([%w_]+%.[%w_]+) = "
    args = doc.type and doc.type:match "^fun(%b())"
    if args then
      args = args:gsub("^%(self: [%w_.]+,? ?", "("):gsub("%?: [^,)]+", ""):gsub(": [^,)]+", "")
      local result = doc.type:match "^fun%b(): (.*)$"
      doc.returns = { result }
    elseif name and #doc.params > 0 then
      args = made_args(doc)
    end
    if name and not name:match "^M%." then name = name:gsub("%.", ":") end
  end
  if name and args and #doc.text > 0 and not doc.private then
    doc.args = args
    file.functions[name] = doc
    file.order[#file.order + 1] = name
  end
end

local function read_file(path)
  local file = { path = path, functions = {}, order = {}, class_of = {} }
  local block
  for line in io.lines(path) do
    local doc = line:match "^%-%-%-([^%-].*)$" or line:match "^%-%-%-$" and ""
    if doc and (doc == "" or doc:match "^[@ ]") then
      block = block or {}
      block[#block + 1] = doc
    elseif block then
      local parsed = parse_block(block)
      if not file.top then file.top = parsed.text else attach(file, parsed, line) end
      if file.top == parsed.text and (parsed.class or parsed.alias) then attach(file, parsed, line) end
      block = nil
    end
  end
  return file
end

local function files_under(folder)
  local out = {}
  local pipe = io.popen(("find %s -name '*.lua' 2>/dev/null | LC_ALL=C sort"):format(folder))
  for path in pipe:lines() do
    if not path:find "/internal/" then out[#out + 1] = path end
  end
  pipe:close()
  return out
end

---------------------------------------------------------------- what is public

--- Entries of the table in weir.lua: { name =, module =, member = or nil for the whole module }.
local function public_entries(path)
  local entries, modules, text = {}, {}, {}
  for line in io.lines(path) do
    local name, module = line:match "^local ([%w_]+) = require%s*%(?\"([%w_.]+)\"%)?$"
    if name then modules[name] = module end
    text[#text + 1] = line
  end
  local body = table.concat(text, "\n"):match "\nlocal weir = (%b{})"
  for name, value in body:gmatch "([%w_]+) = ([^,\n]+)" do
    local module, member = value:match "^require%(\"([%w_.]+)\"%)%.([%w_]+)$"
    if not module then module, member = value:match "^when_called%(\"([%w_.]+)\"%)%.([%w_]+)$" end
    if not module then module = value:match "^require%s*%(?\"([%w_.]+)\"%)?$" end
    if not module then
      local variable, field = value:match "^([%w_]+)%.([%w_]+)$"
      module, member = modules[variable], field
    end
    if not module then
      local inner, variable, field = value:match "^{ ([%w_]+) = ([%w_]+)%.([%w_]+) }$"
      if inner then name, module, member = name .. "." .. inner, modules[variable], field end
    end
    if module then entries[#entries + 1] = { name = name, module = module, member = member } end
  end
  return entries
end

---------------------------------------------------------------- writing

local out = {}
local function put(...) out[#out + 1] = table.concat { ... } end

local function put_text(lines)
  local code = false
  local function fence(on)
    if on ~= code then
      put(on and "\n```lua" or "```")
      code = on
    end
  end
  local last = #lines
  while last > 0 and lines[last] == "" do last = last - 1 end
  for i = 1, last do
    local line = lines[i]
    if line:match "^  " then
      fence(true)
      put((line:gsub("^  ", "")))
    elseif line ~= "" or not code then
      fence(false)
      put(line)
    end
  end
  fence(false)
end

local function cell(s) return (s:gsub("|", "\\|")) end

local shown = {}
local function put_fields(class)
  local doc = classes[class]
  if not doc or #doc.fields == 0 then return end
  if shown[class] then return put("\n(`", class, "`: see above)") end
  put "\n| Field | Type | |\n|---|---|---|"
  for _, f in ipairs(doc.fields) do
    put("| `", f.name, "` | `", cell(f.type), "` | ", cell(f.text), " |")
  end
  shown[class] = true
end

local function put_function(level, name, doc)
  put("\n", level, " `", name, doc.args, "`\n")
  put_text(doc.text)
  local listed = {}
  for _, p in ipairs(doc.params) do
    listed[#listed + 1] = ("- `%s`: `%s`%s"):format(p.name, p.type, p.text ~= "" and ", " .. p.text or "")
  end
  for _, r in ipairs(doc.returns) do
    local type, text = split_type(r)
    listed[#listed + 1] = ("- gives `%s`%s"):format(type, text ~= "" and ", " .. text or "")
  end
  if #listed > 0 then put("\n", table.concat(listed, "\n")) end
  for _, p in ipairs(doc.params) do
    local class = p.type:match "(weir%.[%w]+Options)"
    if class then put_fields(class) end
  end
end

--- Methods of a class, from the file in which its table is made, behind `words`.
local function put_class(files, class, receiver, title, words)
  for _, file in pairs(files) do
    for variable, name in pairs(file.class_of) do
      if name == class then
        put("\n## ", title, "\n")
        put_text(words or {})
        if classes[class].about ~= "" then put("`", class, "`: ", classes[class].about, "\n") end
        for _, key in ipairs(file.order) do
          local method = key:match("^" .. variable .. ":(.*)$")
          if method then put_function("###", receiver .. ":" .. method, file.functions[key]) end
        end
        shown[class] = true
      end
    end
  end
end

local function put_rest(public_paths)
  put "\n## Types\n"
  for _, class in ipairs(class_order) do
    local doc = classes[class]
    local public = public_paths[doc.path] and not shown[class]
    local callable = false
    for _, f in ipairs(doc.fields) do callable = callable or f.type:match "^fun%(self" ~= nil end
    if public and (callable or class:match "Options$") then
      put("\n### ", class, "\n")
      if doc.about ~= "" then put(doc.about, "\n") end
      put_fields(class)
    end
  end
  if #aliases > 0 then put "" end
  for _, alias in ipairs(aliases) do
    local name, rest = alias.text:match "^(%S+)%s+(.*)$"
    local type, text = split_type(rest)
    put("- `", name, "` = `", type, "`", text ~= "" and ": " .. text or "")
  end
end

-- What `stream:window` gives, and what a process function of windows is and is given.
local function put_windowed(files)
  put_class(files, "weir.WindowedStream", "windowed", "Windowed streams", files["weir.windowed"].top)
  for _, class in ipairs { "weir.WindowFunction", "weir.WindowContext" } do
    put("\n### ", class, "\n")
    if classes[class].about ~= "" then put(classes[class].about, "\n") end
    put_fields(class)
  end
end

-- A module of the table in weir.lua; `as`: the name under which it was put already.
local function put_module(file, name, as)
  put("\n## weir.", name, "\n")
  if as then return put("Another name of `weir.", as, "`.") end
  put_text(file.top)
  for _, key in ipairs(file.order) do
    local member = key:match "^M%.(.*)$"
    if member then put_function("###", "weir." .. name .. "." .. member, file.functions[key]) end
  end
end

-- The test kit: what is called `kit` and `t` in specs.
local function put_kit(files)
  local file = files["weir.test"]
  put '\n## require "weir.test"\n'
  put_text(file.top)
  for _, key in ipairs(file.order) do
    local name = key:match "^M%.(.*)$"
    if name then put_function("###", "kit." .. name, file.functions[key]) end
  end
  put_class(files, "weir.Test", "t", "A job in a test")
end

-- What the script of `weir savepoint edit` is given.
local function put_savepoints(files)
  put '\n## Savepoints\n'
  put_text(files["weir.savepoint_edit"].top)
  put_class(files, "weir.EditedSavepoint", "sp", "A savepoint under edit")
  put_class(files, "weir.SavepointOperator", "operator", "An operator of it")
  put "\n### weir.Position\n"
  put_fields "weir.Position"
end

local function write_all(lua, stdlib)
  local files = {}
  for _, path in ipairs(files_under(lua)) do
    local module = path:sub(#lua + 2):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
    files[module] = read_file(path)
  end
  put "# The Lua API\n"
  put "Made from the sources by `make docs`; do not edit.\n"
  put "## weir\n"
  put_text(files.weir.top)
  local whole, public_paths = {}, {}
  for _, e in ipairs(public_entries(lua .. "/weir.lua")) do
    local file = files[e.module]
    if file then public_paths[file.path] = true end
    if file and e.member then
      local doc = file.functions["M." .. e.member]
      if doc then put_function("###", "weir." .. e.name, doc) end
    elseif file then
      whole[#whole + 1] = e
    end
  end
  put_class(files, "weir.Job", "job", "Jobs")
  put_class(files, "weir.Stream", "stream", "Streams")
  put_windowed(files)
  put_class(files, "weir.ConnectedStreams", "connected", "Connected streams")
  put_class(files, "weir.SinkHandle", "stream", "Settings of operators, and of sinks")
  local named = {}
  for _, e in ipairs(whole) do
    put_module(files[e.module], e.name, named[e.module])
    named[e.module] = named[e.module] or e.name
  end
  for _, path in ipairs(files_under(stdlib)) do
    local module = path:sub(#stdlib + 2):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
    local file = read_file(path)
    public_paths[path] = true
    put("\n## require \"", module, "\"\n")
    put_text(file.top or {})
    for _, key in ipairs(file.order) do
      local name = key:match "^M%.(.*)$"
      if name then put_function("###", module .. "." .. name, file.functions[key]) end
    end
  end
  put_kit(files)
  put_savepoints(files)
  put_rest(public_paths)
  return (table.concat(out, "\n"):gsub("\n\n\n+", "\n\n")) .. "\n"
end

local function main(args)
  local check = args[1] == "--check"
  if check then table.remove(args, 1) end
  local path, lua, stdlib = args[1], args[2], args[3]
  local text = write_all(lua, stdlib)
  if check then
    local f = io.open(path)
    local old = f and f:read "*a"
    if f then f:close() end
    if old == text then return 0 end
    io.stderr:write(path, ":1: is not what the annotations say: make docs\n")
    return 1
  end
  os.execute("mkdir -p '" .. (path:match "^(.*)/" or ".") .. "'")
  local f = assert(io.open(path, "w"))
  f:write(text)
  f:close()
  return 0
end

os.exit(main(arg))
