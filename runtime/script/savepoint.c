/* SPDX-License-Identifier: Apache-2.0 */
/* savepoint: the tools of `weir savepoint`, which are written in Lua (lua/weir/savepoint.lua). */
#include <lauxlib.h>
#include "base/error.h"
#include "record/value.h"
#include "script/vm.h"

/* What the tools are told of the program's options; names sorted. */
static void put_options(const struct wr_config *c, struct wr_bytes *out)
{
	const char *output = wr_config_str(c, "output");
	bool limit = wr_config_is_set(c, "limit");

	wr_value_put_record(out, 1u + limit + (output != NULL));
	wr_value_put_name(out, "json");
	wr_value_put_bool(out, wr_config_bool(c, "json"));
	if (limit) {
		wr_value_put_name(out, "limit");
		wr_value_put_num(out, (double)wr_config_int(c, "limit"));
	}
	if (output) {
		wr_value_put_name(out, "output");
		wr_value_put_str(out, output);
	}
}

int wr_script_savepoint(const char *tool, const struct wr_config *c, int argc, char **argv, int *status)
{
	struct wr_bytes options = WR_BYTES_EMPTY;
	struct wr_bundle *bundle =
	    wr_bundle_new(wr_config_bool(c, "unsafe"), wr_config_str(c, "lua-path"), 0);
	struct wr_vm *vm = bundle ? wr_vm_new(bundle, true, 0) : NULL;
	int rc = vm ? wr_vm_function(vm, "weir.savepoint", "run") : WR_EFATAL;

	put_options(c, &options);
	if (rc == WR_OK)
		rc = wr_bytes_status(&options);
	if (rc == WR_OK) {
		lua_pushstring(vm->L, tool);
		lua_pushlstring(vm->L, (const char *)options.data, options.len);
		lua_createtable(vm->L, argc, 0);
		for (int i = 0; i < argc; i++) {
			lua_pushstring(vm->L, argv[i]);
			lua_rawseti(vm->L, -2, i + 1);
		}
		rc = wr_vm_call(vm, 3, 1, 0);
	}
	if (rc == WR_OK)
		*status = (int)lua_tointeger(vm->L, -1);
	wr_bytes_deinit(&options);
	wr_vm_free(vm);
	wr_bundle_free(bundle);
	return rc;
}
