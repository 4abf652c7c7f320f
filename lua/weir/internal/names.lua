-- SPDX-License-Identifier: Apache-2.0
--- Which field names can the records of an operator have?
---
--- A site (`weir.internal.rows`) must write every field of a record, so it has to know that
--- there are no others than those it tests for. Walking the record tells, but forces the
--- table to be built. Where the bytecode of the user's function shows the names - records
--- made by a table constructor, or the input with fields set by constant names - the answer
--- is known before the first record, and the tracer can drop the table.

local M = {}

--- For each operator of the stage: the set of all names its output can have, or nil.
function M.of_stage(_stage, _shape, _input)
  return {}
end

--- The set of input fields that are ever read, or nil when any may be.
function M.wanted(_stage, _shape, _input)
  return nil
end

return M
