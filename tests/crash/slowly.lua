--- slowly: a function for a job's `map` that costs so many turns of a loop a record, so that the input outlasts many
--- lives of the process.

---@param loops integer
---@return fun(rec: { v: integer }): table
return function(loops)
  return function(rec)
    local x = rec.v
    for i = 1, loops do x = (x * 16807 + i) % 2147483647 end
    rec.unused = x
    return rec
  end
end
