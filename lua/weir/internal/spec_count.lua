-- SPDX-License-Identifier: Apache-2.0
--- How many tests `weir test` has begun: a helper of busted, which sees its events.

local M = { begun = 0 }

local busted = require "busted"

busted.subscribe({ "test", "start" }, function()
  M.begun = M.begun + 1
  return nil, true
end)

-- A file that cannot be loaded is no lack of tests; that there are no files is of no element.
busted.subscribe({ "error" }, function(element)
  if element.descriptor then M.begun = M.begun + 1 end
  return nil, true
end)

return M
