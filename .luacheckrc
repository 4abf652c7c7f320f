-- luacheck: LuaJIT, no unused names, lines that fit a screen.
std = "luajit"
cache = false
max_line_length = 120
unused_args = false -- callbacks show their whole signature
self = false
exclude_files = { "build*" }
files["tests/spec"] = { std = "+busted", max_line_length = 140 } -- whole messages are compared
files["tests/e2e"] = { std = "+busted", max_line_length = 160 }
files["tests/kafka"] = { std = "+busted", max_line_length = 160 }
files["jobs/spec"] = { std = "+busted" }
files["tests/tidy"] = { max_line_length = 140 }
