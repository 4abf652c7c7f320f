--- Writes docs/graphs/nexmark.md: three queries of Nexmark as `weir graph` draws them.
---
---   build/weir lua docs/graphs/graphs.lua [PROGRAM] >docs/graphs/nexmark.md

local program = arg and arg[1] or "build/weir"

print [[
# Three queries of Nexmark, drawn by `weir graph`

The first tree of each is what the script says: operators with the line that drew them. The second is what runs:
what is in one line is one task, `×1` of each; rows pass between lines through channels.]]

for _, query in ipairs { "q4", "q5", "q8" } do
  local path = "jobs/nexmark/" .. query .. ".lua"
  local file = assert(io.open(path))
  print(("\n## [%s](../../%s)\n\n%s\n\n```console\n$ weir graph %s"):format(query, path,
    file:read("*l"):match "^%-%-%- q%d+: (.*)$", path))
  file:close()
  local run = assert(io.popen(program .. " graph " .. path))
  io.write(run:read "*a")
  assert(run:close())
  print "```"
end
