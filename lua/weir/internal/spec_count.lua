-- SPDX-License-Identifier: Apache-2.0
--- How many tests `weir test` has begun: a helper of busted, which sees its events.

local M = { begun = 0 }

local busted = require "busted"

busted.subscribe({ "test", "start" }, function()
  M.begun = M.begun + 1
  return nil, true
end)

busted.subscribe({ "error" }, function()
  M.begun = M.begun + 1 -- a file that cannot be loaded is no lack of tests
  return nil, true
end)

return M
