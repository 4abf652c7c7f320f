--- Starts busted with TAP output inside the Lua that runs this file; the arguments are spec files.
--- Specs see the embedded modules, and tests/ for what they share (`require "support.x"`).

package.path = "tests/?.lua;" .. package.path .. ";/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua"
package.cpath = package.cpath .. ";/usr/lib/" .. jit.arch:gsub("^x64$", "x86_64"):gsub("^arm64$", "aarch64")
  .. "-linux-gnu/lua/5.1/?.so"
table.insert(arg, 1, "--output=TAP")
-- Jobs under the hands of a test have their state where runs of the program have it.
local settings = require("weir.internal.harness").settings
settings.state_backend, settings.state_memory = os.getenv "WEIR_STATE_BACKEND", os.getenv "WEIR_STATE_MEMORY"
-- Under Lua 5.1 busted ends a failed run by an error without a text.
require("busted.compatibility").exit = function(code) os.exit(code) end
require "busted.runner" { standalone = false }
