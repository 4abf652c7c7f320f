--- Numbers of a seed of our own, so that a failure can be run again.

---@param seed integer from 1
---@return fun(n: integer): integer below gives 0 to n - 1
return function(seed)
  local at = seed
  return function(n)
    at = (at * 16807) % 2147483647
    return at % n
  end
end
