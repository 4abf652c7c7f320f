/* SPDX-License-Identifier: Apache-2.0 */
/* vm: makes LuaJIT states. Only lua_pcall of wr_vm_call enters Lua, so a Lua error never
 * crosses a C frame that owns something. */
#include "script/vm.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"
#include "script/api.h"
#include "script/birth.h"
#include "script/embed.h"
#include "script/tables.h"

static struct wr_mem mem = WR_MEM_INIT("script.lua");
static _Atomic int states; /* of this process */

enum {
	HEAP_FLOOR = 2 << 20,	     /* of a state, before a cycle of the collector */
	HEAP_FLOOR_ALL = 256 << 20,  /* of all states together */
	FEW_STATES = 32,	     /* that may begin with some garbage each */
	KEPT_PART = 4,		     /* of its share a state keeps so much, where many share */
	CLOCK_INSTRUCTIONS = 100000, /* between two looks at the clock */
	STEPMUL = 400,		     /* speed of the collector */
	ROOM_PART = 16, /* of the bound must be free after a collection, or a call that passes it ends */
};

/* package.loaders entry: modules inside the binary. */
static int load_embedded(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	unsigned low = 0, high = wr_embedded_count;

	wr_thread_give_turn(); /* a state that is made for a reload is made beside rows */
	while (low < high) {
		unsigned mid = (low + high) / 2;
		int order = strcmp(name, wr_embedded[mid].name);

		if (order == 0) {
			if (luaL_loadbuffer(L, wr_embedded[mid].code, wr_embedded[mid].len, name))
				return lua_error(L);
			return 1;
		}
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	lua_pushfstring(L, "\n\tno embedded module '%s'", name);
	return 1;
}

static struct wr_vm *vm_of(lua_State *L)
{
	struct wr_vm *vm;

	lua_getfield(L, LUA_REGISTRYINDEX, "weir.vm");
	vm = lua_touserdata(L, -1);
	lua_pop(L, 1);
	return vm;
}

/* host.file(name): text of a bundled file or nil. */
static int host_file(lua_State *L)
{
	struct wr_vm *vm = vm_of(L);
	size_t len;
	const char *text = vm->bundle ? wr_bundle_find(vm->bundle, luaL_checkstring(L, 1), &len) : NULL;

	if (!text)
		return 0;
	lua_pushlstring(L, text, len);
	return 1;
}

/* host.add(name, text): adds a file to the bundle while the graph is drawn. */
static int host_add(lua_State *L)
{
	struct wr_vm *vm = vm_of(L);
	size_t len;
	const char *name = luaL_checkstring(L, 1), *text = luaL_checklstring(L, 2, &len);

	if (!vm->drawing || !vm->bundle)
		return luaL_error(L, "the bundle is closed");
	if (wr_bundle_add(vm->bundle, name, text, len) != WR_OK)
		return luaL_error(L, "%s", wr_error_text());
	return 0;
}

/* host.embedded(name): is there a module of this name inside the binary? */
static int host_embedded(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);

	for (unsigned i = 0; i < wr_embedded_count; i++)
		if (!strcmp(wr_embedded[i].name, name)) {
			lua_pushboolean(L, 1);
			return 1;
		}
	return 0;
}

/* host.names(): the files of the bundle, in order. */
static int host_names(lua_State *L)
{
	struct wr_vm *vm = vm_of(L);

	lua_newtable(L);
	for (uint32_t i = 0; vm->bundle && i < wr_bundle_count(vm->bundle); i++) {
		const char *name, *text;
		size_t len;

		wr_bundle_file(vm->bundle, i, &name, &text, &len);
		lua_pushstring(L, name);
		lua_rawseti(L, -2, (int)i + 1);
	}
	return 1;
}

/* host.hash(): of the bundle, as text. */
static int host_hash(lua_State *L)
{
	char text[24];

	snprintf(text, sizeof text, "%016llx", (unsigned long long)wr_bundle_hash(vm_of(L)->bundle));
	lua_pushstring(L, text);
	return 1;
}

/* host.digest(text): 16 letters that tell texts apart. */
static int host_digest(lua_State *L)
{
	size_t len;
	const char *s = luaL_checklstring(L, 1, &len);
	char text[24];

	snprintf(text, sizeof text, "%016llx", (unsigned long long)wr_bundle_digest(s, len));
	lua_pushstring(L, text);
	return 1;
}

/* Runs protected: libraries, loader, `weir_api` and `weir_host` for the engine's Lua. */
static int vm_prepare(lua_State *L)
{
	struct wr_vm *vm = lua_touserdata(L, 1);

	lua_pushlightuserdata(L, vm);
	lua_setfield(L, LUA_REGISTRYINDEX, "weir.vm");
	luaL_openlibs(L);
	wr_tables_open(L);

	/* loaders: 1 preload, 2 the embedded modules; those that search the disk are kept aside */
	lua_getglobal(L, "package");
	lua_getfield(L, -1, "loaders");
	lua_newtable(L);
	lua_rawgeti(L, -2, 1);
	lua_rawseti(L, -2, 1);
	lua_pushcfunction(L, load_embedded);
	lua_rawseti(L, -2, 2);
	lua_setfield(L, -3, "loaders");
	lua_setfield(L, LUA_REGISTRYINDEX, "weir.disk_loaders");
	lua_pop(L, 1);

	lua_newtable(L);
	lua_pushstring(L, wr_api_cdef);
	lua_setfield(L, -2, "text");
	lua_pushinteger(L, sizeof(struct wr_lua));
	lua_setfield(L, -2, "bytes");
	lua_setglobal(L, "weir_api");

	lua_newtable(L);
	wr_tables_host(L);
	lua_pushcfunction(L, host_file);
	lua_setfield(L, -2, "file");
	lua_pushcfunction(L, host_add);
	lua_setfield(L, -2, "add");
	lua_pushcfunction(L, host_embedded);
	lua_setfield(L, -2, "embedded");
	lua_pushcfunction(L, host_names);
	lua_setfield(L, -2, "names");
	lua_pushcfunction(L, host_digest);
	lua_setfield(L, -2, "digest");
	lua_pushcfunction(L, host_hash);
	lua_setfield(L, -2, "hash");
	lua_pushboolean(L, vm->drawing);
	lua_setfield(L, -2, "drawing");
	lua_pushboolean(L, vm->bundle && wr_bundle_unsafe(vm->bundle));
	lua_setfield(L, -2, "unsafe");
	if (vm->bundle && wr_bundle_lua_path(vm->bundle)) {
		lua_pushstring(L, wr_bundle_lua_path(vm->bundle));
		lua_setfield(L, -2, "lua_path");
	}
	lua_setglobal(L, "weir_host");
	return 0;
}

static int add_disk_loaders(lua_State *L)
{
	lua_getglobal(L, "package");
	lua_getfield(L, -1, "loaders");
	lua_getfield(L, LUA_REGISTRYINDEX, "weir.disk_loaders");
	for (int i = 2; i <= 4; i++) {
		lua_rawgeti(L, -1, i);
		lua_rawseti(L, -3, i + 1);
	}
	return 0;
}

int wr_vm_disk_loaders(struct wr_vm *vm)
{
	lua_pushcfunction(vm->L, add_disk_loaders);
	return wr_vm_call(vm, 0, 0, 0);
}

/* ---- the bound of the heap ----
 *
 * Passing it is noticed in two places: when a call has returned, and before an instruction of a call that
 * goes on: compiled code comes back to the interpreter at the latest at the end of a cycle of the
 * collector, which a growing heap brings about. In both all garbage goes first. */

static int collect_all(lua_State *L)
{
	lua_gc(L, LUA_GCCOLLECT, 0);
	return 0;
}

static void look_at_clock(lua_State *L, lua_Debug *at)
{
	struct wr_vm *vm = vm_of(L);

	(void)at;
	if (vm->given_up && atomic_load(vm->given_up))
		luaL_error(L, "its graph is not drawn, and nobody waits for it any more");
	if (wr_clock_ns(wr_clock_system()) >= vm->until_ns)
		luaL_error(L, "the script has run for %f s, and its graph is not drawn",
			   (double)vm->ms_max / 1000);
}

static void unhook(struct wr_vm *vm)
{
	if (vm->hurried) {
		lua_gc(vm->L, LUA_GCSETPAUSE, vm->pause);
		lua_gc(vm->L, LUA_GCSETSTEPMUL, STEPMUL);
		vm->hurried = false;
	}
	if (vm->ms_max)
		lua_sethook(vm->L, look_at_clock, LUA_MASKCOUNT, CLOCK_INSTRUCTIONS);
	else
		lua_sethook(vm->L, NULL, 0, 0);
}

void wr_vm_bound_time(struct wr_vm *vm, int64_t ms_max, const _Atomic bool *given_up)
{
	vm->ms_max = ms_max;
	vm->given_up = given_up;
	vm->until_ns = wr_clock_ns(wr_clock_system()) + (uint64_t)ms_max * 1000000;
	unhook(vm);
}

/* True when a collection has made room: a part of the bound, so that not every small object brings one. */
static bool vm_relieve(struct wr_vm *vm)
{
	if (vm->heap.scarce || vm->heap.bytes > vm->heap.bytes_max - vm->heap.bytes_max / ROOM_PART)
		return false;
	vm->heap.over = false;
	unhook(vm);
	return true;
}

static void before_instruction(lua_State *L, lua_Debug *at)
{
	struct wr_vm *vm = vm_of(L);

	(void)at;
	collect_all(L);
	if (vm_relieve(vm))
		return;
	vm->stopped = true;
	luaL_error(L, "out of Lua memory");
}

/* Safe where an allocation is, as in a signal handler: the calls of the collector only set numbers. Compiled
 * code does not look at hooks, but at the collector's threshold wherever it allocates: the next step goes on
 * to the end of the cycle, where it comes back to the interpreter. */
static void on_passed(struct wr_heap *h)
{
	struct wr_vm *vm = (struct wr_vm *)((char *)h - offsetof(struct wr_vm, heap));

	if (!vm->L)
		return;
	lua_sethook(vm->L, before_instruction, LUA_MASKCOUNT, 1);
	if (!vm->collects || vm->hurried)
		return;
	vm->hurried = true;
	vm->pause = lua_gc(vm->L, LUA_GCSETPAUSE, 100);
	lua_gc(vm->L, LUA_GCSETSTEPMUL, 0); /* without end */
	lua_gc(vm->L, LUA_GCRESTART, 0);
}

static int out_of_memory(const struct wr_heap *h)
{
	if (h->scarce || !h->over)
		return wr_error_set(WR_EFATAL, "out of memory (Lua holds %lld bytes)", (long long)h->bytes);
	return wr_error_set(WR_EUSER,
			    "out of Lua memory: %lld of %lld bytes held; the script keeps too much, or raise "
			    "--lua-memory",
			    (long long)h->bytes, (long long)h->bytes_max);
}

struct wr_vm *wr_vm_new(struct wr_bundle *bundle, bool drawing, int64_t bytes_max)
{
	struct wr_vm *vm = wr_zalloc(&mem, sizeof *vm);

	if (!vm)
		return NULL;
	vm->bundle = bundle;
	vm->drawing = drawing;
	vm->heap = (struct wr_heap){.mem = &mem, .bytes_max = bytes_max, .passed = on_passed};
	vm->L = wr_birth(&vm->heap);
	if (!vm->L) {
		wr_heap_deinit(&vm->heap);
		wr_free(&mem, vm);
		return NULL;
	}
	atomic_fetch_add_explicit(&states, 1, memory_order_relaxed);
	lua_gc(vm->L, LUA_GCSTOP, 0);
	if (lua_cpcall(vm->L, vm_prepare, vm) || vm->heap.scarce) {
		if (vm->heap.scarce)
			out_of_memory(&vm->heap);
		else
			wr_error_set(WR_EFATAL, "Lua state: %s", lua_tostring(vm->L, -1));
		wr_vm_free(vm);
		return NULL;
	}
	/* a heap keeps the pages of its highest peak: among many, until rows flow, the collector goes round
	 * and round */
	lua_gc(vm->L, LUA_GCSETPAUSE,
	       atomic_load_explicit(&states, memory_order_relaxed) > FEW_STATES ? 105 : 400);
	lua_gc(vm->L, LUA_GCSETSTEPMUL, STEPMUL);
	lua_gc(vm->L, LUA_GCRESTART, 0);
	vm->collects = true;
	return vm;
}

void wr_vm_free(struct wr_vm *vm)
{
	if (!vm)
		return;
	lua_close(vm->L);
	wr_heap_deinit(&vm->heap);
	atomic_fetch_sub_explicit(&states, 1, memory_order_relaxed);
	wr_free(&mem, vm);
}

struct function_name {
	const char *module, *name;
};

static int push_function(lua_State *L)
{
	const struct function_name *f = lua_touserdata(L, 1);

	lua_getglobal(L, "require");
	lua_pushstring(L, f->module);
	lua_call(L, 1, 1);
	lua_getfield(L, -1, f->name);
	if (!lua_isfunction(L, -1))
		return luaL_error(L, "%s.%s is no function", f->module, f->name);
	return 1;
}

int wr_vm_function(struct wr_vm *vm, const char *module, const char *name)
{
	struct function_name f = {module, name};

	lua_pushcfunction(vm->L, push_function);
	lua_pushlightuserdata(vm->L, &f);
	return wr_vm_call(vm, 1, 1, 0);
}

/* A call that passed the bound, or was refused memory, has returned: an error if too much is still held, or
 * was held so long that the call was stopped. That the script caught what stopped it makes no difference. */
static int vm_settle(struct wr_vm *vm, int rc)
{
	bool refused = rc == LUA_ERRMEM || (vm->heap.refused && !vm->refusal_told);

	if (rc != LUA_ERRMEM && lua_cpcall(vm->L, collect_all, NULL) != 0) {
		lua_pop(vm->L, 1);
		refused = true;
	}
	if (!refused && !vm->stopped && vm_relieve(vm))
		return WR_OK;
	rc = out_of_memory(&vm->heap);
	unhook(vm);
	vm->heap.over = vm->heap.scarce = vm->stopped = false;
	vm->refusal_told = vm->heap.refused;
	return rc;
}

/* What is on top of the stack, as this thread's error. */
static int raised(lua_State *L)
{
	const char *text = lua_tostring(L, -1);

	return wr_error_set(WR_EUSER, "%s", text ? text : "(an error object that is no text)");
}

int wr_vm_call(struct wr_vm *vm, int args, int results, int handler)
{
	int rc = lua_pcall(vm->L, args, results, handler), memory = WR_OK;

	if (WR_UNLIKELY(rc == LUA_ERRMEM || vm->heap.over))
		memory = vm_settle(vm, rc);
	if (WR_LIKELY(rc == 0 && memory == WR_OK))
		return WR_OK;
	if (memory == WR_OK)
		raised(vm->L);
	lua_pop(vm->L, rc == 0 ? results : 1);
	return wr_error_code();
}

int wr_vm_resume(struct wr_vm *vm, lua_State *thread, int args, bool *out_of_memory)
{
	int rc = lua_resume(thread, args), memory = WR_OK;

	if (WR_UNLIKELY(rc == LUA_ERRMEM || vm->heap.over))
		memory = vm_settle(vm, rc == LUA_YIELD ? 0 : rc);
	*out_of_memory = memory != WR_OK;
	if (WR_UNLIKELY(memory != WR_OK))
		return memory;
	if (WR_LIKELY(rc == 0 || rc == LUA_YIELD))
		return rc == 0 ? WR_OK : WR_AGAIN;
	return raised(thread);
}

int wr_vm_tell(struct wr_vm *vm, int function, int thread, const char *text)
{
	lua_State *L = vm->L;
	struct wr_heap *h = &vm->heap;
	int64_t bound = h->bytes_max;
	bool over = h->over;
	int rc;

	h->over = true; /* nobody is told again */
	if (bound && h->bytes > bound)
		h->bytes_max = h->bytes;
	lua_pushvalue(L, function);
	lua_pushvalue(L, thread);
	if (text)
		lua_pushstring(L, text);
	else
		lua_xmove(lua_tothread(L, thread), L, 1);
	rc = lua_pcall(L, 2, 1, 0);
	h->over = over;
	h->bytes_max = bound;
	if (rc == 0)
		return WR_OK;
	lua_pop(L, 1);
	return WR_EUSER;
}

/* The collector steps as the script allocates; here it is told how far the heap may grow until the next
 * cycle: to twice what is alive, but at least to HEAP_FLOOR. Short-lived strings dominate, and one that is
 * still interned when it comes again costs no allocation. Where many states share the memory each gets less.
 */
void wr_vm_collect(struct wr_vm *vm)
{
	int64_t share = HEAP_FLOOR_ALL / atomic_load_explicit(&states, memory_order_relaxed);
	bool many = share < HEAP_FLOOR;
	int64_t least = many ? 112 : 200, bytes = vm->heap.bytes, floor = many ? share : HEAP_FLOOR;
	int64_t pause = 100 * floor / (bytes > 0 ? bytes : 1);

	vm->heap.keep = many ? floor / KEPT_PART : floor;
	lua_gc(vm->L, LUA_GCSETPAUSE, pause < least ? (int)least : pause > 10000 ? 10000 : (int)pause);
}

void wr_vm_trim(struct wr_vm *vm)
{
	wr_vm_collect(vm);
	lua_gc(vm->L, LUA_GCCOLLECT, 0);
	wr_heap_trim(&vm->heap);
}
