--- process: starts a program, kills it as kill -9 does, and reads where it was (runtime/base/fault.h).

local ffi = require "ffi"

ffi.cdef [[
typedef struct { char name[48]; uint64_t passed, at; } wr_crash_step;
int fork(void);
int open(const char *path, int flags, ...);
int dup2(int from, int to);
int execv(const char *path, char *const argv[]);
void _exit(int status);
int kill(int pid, int signal);
int waitpid(int pid, int *status, int options);
typedef struct { long s, ns; } wr_crash_time;
int ppoll(void *none, unsigned long count, const wr_crash_time *time, const void *mask);
int isatty(int fd);
]]
local C = ffi.C

local M = {}

local SIGKILL, WNOHANG, CREATE_EMPTY = 9, 1, 577 -- O_WRONLY | O_CREAT | O_TRUNC

--- Starts `words[1]` with the rest as arguments; what it says goes into the file `log`.
---@param words string[]
---@param log string
---@return integer pid
function M.start(words, log)
  local argv = ffi.new("const char *[?]", #words + 1)
  for i, word in ipairs(words) do argv[i - 1] = word end
  local pid = C.fork()
  if pid == 0 then
    local fd = C.open(log, CREATE_EMPTY, ffi.cast("int", 420))
    C.dup2(fd, 1)
    C.dup2(fd, 2)
    C.execv(words[1], ffi.cast("char *const *", argv))
    C._exit(127)
  end
  assert(pid > 0, "no process could be started")
  return pid
end

--- The process's exit status, or nil while it runs; 128 and more: the signal that ended it.
local function status(pid, options)
  local out = ffi.new "int[1]"
  if C.waitpid(pid, out, options) == 0 then return nil end
  local signal = bit.band(out[0], 0x7f)
  return signal > 0 and 128 + signal or bit.band(bit.rshift(out[0], 8), 0xff)
end

function M.ended(pid) return status(pid, WNOHANG) end

function M.wait(pid) return status(pid, 0) end

--- True when it was killed, false when it had ended by itself; and its status.
function M.kill(pid)
  C.kill(pid, SIGKILL)
  local code = M.wait(pid)
  return code == 128 + SIGKILL, code
end

--- Lets this time pass, in which the process runs.
function M.pass(us)
  C.ppoll(nil, 0, ffi.new("wr_crash_time", math.floor(us / 1e6), us % 1e6 * 1000), nil)
end

function M.is_terminal(fd) return C.isatty(fd) == 1 end

--- What the process shows: by name { passed =, at = }.
---@param path string
---@return table<string, { passed: integer, at: integer }>
function M.steps(path)
  local file = io.open(path, "rb")
  local text = file and file:read "*a" or ""
  if file then file:close() end
  local list, steps = ffi.cast("const wr_crash_step *", text), {}
  for i = 0, math.floor(#text / ffi.sizeof "wr_crash_step") - 1 do
    local name = ffi.string(list[i].name)
    if name ~= "" then steps[name] = { passed = tonumber(list[i].passed), at = tonumber(list[i].at) } end
  end
  return steps
end

return M
