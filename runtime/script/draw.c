/* SPDX-License-Identifier: Apache-2.0 */
/* draw: from a script to a plan, and the verbs that are written in Lua. */
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "base/log.h"
#include "record/value.h"
#include "script/vm.h"

enum { SCRIPT_MAX = 64 << 20 };

/* The whole script; "-" is standard input. */
static int read_script(const char *path, struct wr_bytes *out)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "rb") : stdin;
	int rc = WR_OK;

	if (!f)
		return wr_error_set(WR_EUSER, "cannot open %s: %s", path, strerror(errno));
	for (;;) {
		uint8_t *to = wr_bytes_room(out, 4096);
		size_t n = to ? fread(to, 1, 4096, f) : 0;

		if (!n)
			break;
		out->len += n;
		if (out->len > SCRIPT_MAX) {
			rc = wr_error_set(WR_EUSER, "%s is larger than %d MB: is it a script?", path,
					  SCRIPT_MAX >> 20);
			break;
		}
	}
	if (ferror(f))
		rc = wr_error_set(WR_EUSER, "cannot read %s: %s", path, strerror(errno));
	if (f != stdin)
		fclose(f);
	return rc == WR_OK ? wr_bytes_status(out) : rc;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* key=value operands as a record; a later one wins. */
static int put_args(const struct wr_draw_options *o, struct wr_bytes *out)
{
	const char *names[256];
	int n = 0;

	for (int i = 0; i < o->arg_count; i++) {
		const char *eq = strchr(o->args[i], '=');
		int at;

		if (!eq || eq == o->args[i])
			return wr_error_set(WR_EUSER, "'%s': arguments of a script are written key=value",
					    o->args[i]);
		for (at = 0; at < n; at++)
			if (!strncmp(names[at], o->args[i], (size_t)(eq - o->args[i]) + 1))
				break;
		if (at == 256)
			return wr_error_set(WR_EUSER, "more than 256 arguments");
		names[at] = o->args[i];
		if (at == n)
			n++;
	}
	for (int i = 1; i < n; i++) /* few: sorted by name by insertion */
		for (int k = i; k > 0 && by_text(&names[k - 1], &names[k]) > 0; k--) {
			const char *t = names[k];

			names[k] = names[k - 1];
			names[k - 1] = t;
		}
	wr_value_put_record(out, (uint32_t)n);
	for (int i = 0; i < n; i++) {
		const char *eq = strchr(names[i], '=');

		wr_bytes_put_str(out, names[i], (size_t)(eq - names[i]));
		wr_value_put_str(out, eq + 1);
	}
	return wr_bytes_status(out);
}

/* What the planner must know of the program's options; names sorted. */
static void put_settings(const struct wr_draw_options *o, struct wr_bytes *out)
{
	const struct wr_config *c = o->config;
	bool max = wr_config_is_set(c, "max-parallelism"), mode = wr_config_is_set(c, "checkpoint-mode");

	wr_value_put_record(out, 6 + max + mode + o->runs);
	if (mode) {
		wr_value_put_name(out, "checkpoint_mode");
		wr_value_put_str(out, wr_config_str(c, "checkpoint-mode"));
	}
	if (o->runs) {
		wr_value_put_name(out, "checkpoints");
		wr_value_put_bool(out, wr_config_is_set(c, "dir"));
	}
	wr_value_put_name(out, "doctor");
	wr_value_put_bool(out, o->doctor);
	wr_value_put_name(out, "format");
	wr_value_put_str(out, wr_config_str(c, "format"));
	wr_value_put_name(out, "kafka_queue_memory");
	wr_value_put_num(out, (double)wr_config_int(c, "kafka-queue-memory"));
	if (max) {
		wr_value_put_name(out, "max_parallelism");
		wr_value_put_num(out, (double)wr_config_int(c, "max-parallelism"));
	}
	wr_value_put_name(out, "on_error");
	wr_value_put_str(out, wr_config_str(c, "on-error"));
	wr_value_put_name(out, "parallelism");
	wr_value_put_num(out, (double)(o->parallelism ? o->parallelism : wr_config_int(c, "parallelism")));
	wr_value_put_name(out, "seed");
	wr_value_put_num(out, (double)wr_config_int(c, "seed"));
}

static int bundle_add(struct wr_bundle *b, const char *name, const struct wr_bytes *text)
{
	return wr_bundle_add(b, name, text->data ? (const char *)text->data : "", text->len);
}

/* A bundle with the script, its arguments and settings, before anything ran. */
static int bundle_begin(const struct wr_draw_options *o, struct wr_bundle **bundle)
{
	struct wr_bytes text = WR_BYTES_EMPTY, args = WR_BYTES_EMPTY, settings = WR_BYTES_EMPTY;
	struct wr_bundle *b =
	    wr_bundle_new(wr_config_bool(o->config, "unsafe"), wr_config_str(o->config, "lua-path"),
			  wr_config_int(o->config, "lua-memory"));
	int rc = !b ? WR_EFATAL : o->carried ? WR_OK : read_script(o->path, &text);

	if (rc == WR_OK)
		rc = put_args(o, &args);
	if (rc == WR_OK) {
		put_settings(o, &settings);
		rc = wr_bytes_status(&settings);
	}
	if (rc == WR_OK)
		rc = wr_bundle_add(b, "script:name", o->path, strlen(o->path));
	if (rc == WR_OK)
		rc = bundle_add(b, "script:text", &text);
	if (rc == WR_OK && o->carried)
		rc = wr_bundle_add(b, "script:carried", o->carried, o->carried_len);
	if (rc == WR_OK)
		rc = bundle_add(b, "script:args", &args);
	if (rc == WR_OK)
		rc = bundle_add(b, "script:settings", &settings);
	wr_bytes_deinit(&text);
	wr_bytes_deinit(&args);
	wr_bytes_deinit(&settings);
	if (rc != WR_OK) {
		wr_bundle_free(b);
		return rc;
	}
	*bundle = b;
	return WR_OK;
}

/* A drawing state with boot's function `name` and its message handler on the stack: 1 handler, 2 function. */
static int begin(const struct wr_draw_options *o, const char *name, struct wr_bundle **bundle,
		 struct wr_vm **vm)
{
	int rc = bundle_begin(o, bundle);

	*vm = NULL;
	if (rc != WR_OK)
		return rc;
	*vm = wr_vm_new(*bundle, true, wr_config_int(o->config, "lua-memory"));
	if (*vm && o->ms_max)
		wr_vm_bound_time(*vm, o->ms_max, o->given_up);
	rc = *vm ? wr_vm_function(*vm, "weir.internal.boot", "script_error") : WR_EFATAL;
	if (rc == WR_OK)
		rc = wr_vm_function(*vm, "weir.internal.boot", name);
	return rc;
}

int wr_script_draw(const struct wr_draw_options *o, struct wr_bytes *plan, struct wr_bundle **bundle)
{
	struct wr_bundle *b = NULL;
	struct wr_vm *vm;
	int rc = begin(o, "draw", &b, &vm);

	if (rc == WR_OK)
		rc = wr_vm_call(vm, 0, 2, 1);
	if (rc == WR_OK) {
		size_t len;
		const char *bytes = lua_tolstring(vm->L, -2, &len);
		const char *warnings = lua_tostring(vm->L, -1);

		wr_bytes_put(plan, bytes, len);
		rc = wr_bytes_status(plan);
		if (*warnings && wr_config_bool(o->config, "strict"))
			rc = wr_error_set(WR_EUSER, "--strict: %s", warnings);
		else if (*warnings)
			wr_debug("script", "%s", warnings);
	}
	wr_vm_free(vm);
	if (rc != WR_OK) {
		wr_bundle_free(b);
		return rc;
	}
	*bundle = b;
	return WR_OK;
}

static void put_cli_options(const struct wr_config *c, struct wr_bytes *out)
{
	const char *notation = wr_config_str(c, "notation");
	const char *view = wr_config_str(c, "view");
	bool mode = wr_config_is_set(c, "checkpoint-mode");

	wr_value_put_record(out, 3u + (notation != NULL) + mode + (view != NULL));
	wr_value_put_name(out, "explain");
	wr_value_put_bool(out, wr_config_bool(c, "explain"));
	if (notation) {
		wr_value_put_name(out, "format");
		wr_value_put_str(out, notation);
	}
	wr_value_put_name(out, "json");
	wr_value_put_bool(out, wr_config_bool(c, "json"));
	if (mode) {
		wr_value_put_name(out, "mode");
		wr_value_put_str(out, wr_config_str(c, "checkpoint-mode"));
	}
	wr_value_put_name(out, "strict");
	wr_value_put_bool(out, wr_config_bool(c, "strict"));
	if (view) {
		wr_value_put_name(out, "view");
		wr_value_put_str(out, view);
	}
}

int wr_script_cli(const char *name, const struct wr_draw_options *o)
{
	struct wr_bytes options = WR_BYTES_EMPTY;
	struct wr_bundle *b = NULL;
	struct wr_vm *vm;
	int rc = begin(o, "cli", &b, &vm);

	if (rc == WR_OK) {
		put_cli_options(o->config, &options);
		rc = wr_bytes_status(&options);
	}
	if (rc == WR_OK) {
		lua_pushstring(vm->L, name);
		lua_pushlstring(vm->L, (const char *)options.data, options.len);
		rc = wr_vm_call(vm, 2, 1, 1);
	}
	if (rc == WR_OK) {
		size_t len;
		const char *text = lua_tolstring(vm->L, -1, &len);

		fwrite(text, 1, len, stdout);
	}
	wr_bytes_deinit(&options);
	wr_vm_free(vm);
	wr_bundle_free(b);
	return rc;
}

/* Runs protected: the search on disk behind the embedded modules, `arg`, then the file. */
static int run_file(lua_State *L)
{
	char **argv = lua_touserdata(L, 1);
	int argc = (int)lua_tointeger(L, 2);

	lua_newtable(L);
	for (int i = 0; i < argc; i++) {
		lua_pushstring(L, argv[i]);
		lua_rawseti(L, -2, i);
	}
	lua_setglobal(L, "arg");
	if (luaL_loadfile(L, argv[0]))
		return lua_error(L);
	lua_call(L, 0, 0);
	return 0;
}

int wr_script_lua(int argc, char **argv)
{
	struct wr_vm *vm = wr_vm_new(NULL, true, 0);
	int rc = vm ? wr_vm_disk_loaders(vm) : WR_EFATAL;

	if (rc == WR_OK) {
		lua_pushcfunction(vm->L, run_file);
		lua_pushlightuserdata(vm->L, argv);
		lua_pushinteger(vm->L, argc);
		rc = wr_vm_call(vm, 2, 0, 0);
	}
	wr_vm_free(vm);
	return rc;
}

/* What specs and the jobs they build are told of the program's options. */
static void put_test_options(const struct wr_config *c, struct wr_bytes *out)
{
	const char *filter = wr_config_str(c, "filter"), *path = wr_config_str(c, "lua-path");

	wr_value_put_record(out, 7u + (filter != NULL) + (path != NULL));
	wr_value_put_name(out, "color");
	wr_value_put_bool(out, !wr_config_bool(c, "no-color"));
	if (filter) {
		wr_value_put_name(out, "filter");
		wr_value_put_str(out, filter);
	}
	wr_value_put_name(out, "json");
	wr_value_put_bool(out, wr_config_bool(c, "json"));
	wr_value_put_name(out, "lua_memory");
	wr_value_put_num(out, (double)wr_config_int(c, "lua-memory"));
	if (path) {
		wr_value_put_name(out, "lua_path");
		wr_value_put_str(out, path);
	}
	wr_value_put_name(out, "seed");
	wr_value_put_num(out, (double)wr_config_int(c, "seed"));
	wr_value_put_name(out, "state_backend");
	wr_value_put_str(out, wr_config_str(c, "state-backend"));
	wr_value_put_name(out, "state_memory");
	wr_value_put_num(out, (double)wr_config_int(c, "state-memory"));
	wr_value_put_name(out, "unsafe");
	wr_value_put_bool(out, wr_config_bool(c, "unsafe"));
}

int wr_script_test(const struct wr_config *c, char **files, int count, int *failures)
{
	struct wr_bytes options = WR_BYTES_EMPTY;
	struct wr_vm *vm = wr_vm_new(NULL, true, 0);
	int rc = vm ? wr_vm_disk_loaders(vm) : WR_EFATAL;

	put_test_options(c, &options);
	if (rc == WR_OK)
		rc = wr_bytes_status(&options);
	if (rc == WR_OK)
		rc = wr_vm_function(vm, "weir.internal.specs", "run");
	if (rc == WR_OK) {
		lua_pushlstring(vm->L, (const char *)options.data, options.len);
		lua_createtable(vm->L, count, 0);
		for (int i = 0; i < count; i++) {
			lua_pushstring(vm->L, files[i]);
			lua_rawseti(vm->L, -2, i + 1);
		}
		rc = wr_vm_call(vm, 2, 1, 0);
	}
	if (rc == WR_OK)
		*failures = (int)lua_tointeger(vm->L, -1);
	wr_bytes_deinit(&options);
	wr_vm_free(vm);
	return rc;
}

int wr_script_config(const char *path, struct wr_config *c)
{
	struct wr_vm *vm = wr_vm_new(NULL, true, 0);
	struct wr_arena arena;
	static struct wr_mem mem = WR_MEM_INIT("script.config");
	struct wr_value list = {0};
	int rc = vm ? wr_vm_function(vm, "weir.internal.boot", "config") : WR_EFATAL;

	wr_arena_init(&arena, &mem);
	if (rc == WR_OK) {
		lua_pushstring(vm->L, path);
		rc = wr_vm_call(vm, 1, 1, 0);
	}
	if (rc == WR_OK) {
		size_t len;
		const char *bytes = lua_tolstring(vm->L, -1, &len);
		struct wr_reader r = wr_reader_of(bytes, len);

		rc = wr_value_parse(&r, &arena, &list);
	}
	for (uint32_t i = 0; rc == WR_OK && i < list.count; i++)
		rc = wr_config_set(c, list.items[i].items[0].str.p, list.items[i].items[1].str.p, path);
	wr_arena_deinit(&arena);
	wr_vm_free(vm);
	return rc;
}
