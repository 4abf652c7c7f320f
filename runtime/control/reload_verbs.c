/* SPDX-License-Identifier: Apache-2.0 */
/* reload_verbs: see reload_verbs.h. */
#include "control/reload_verbs.h"

#include <inttypes.h>
#include <string.h>
#include "base/error.h"

enum { ARGS_MAX = 256, PROBATION_MS = 30000, NS_PER_MS = 1000000 };

struct asked {
	struct wr_reload_wish wish; /* first */
	struct wr_call *call;
	struct wr_reload *reload;
};

static struct wr_mem mem = WR_MEM_INIT("control.reload");

static struct asked *asked_new(struct wr_reload *r, struct wr_call *call,
			       void (*done)(struct wr_reload_wish *w, const char *error))
{
	struct asked *a = wr_zalloc(&mem, sizeof *a);

	if (!a) {
		wr_call_fail(call);
		return NULL;
	}
	a->wish.done = done;
	a->call = call;
	a->reload = r;
	return a;
}

static void finish(struct asked *a, const char *error, const struct wr_bytes *answer)
{
	if (error)
		wr_error_set(WR_EUSER, "%s", error);
	if (error || wr_bytes_status(answer) != WR_OK)
		wr_call_fail(a->call);
	else
		wr_call_answer(a->call, answer);
	wr_free(&mem, a);
}

/* ---- drawing ---- */

/* Those whose change makes another version. */
static void put_files(const struct wr_bundle *b, struct wr_bytes *out)
{
	wr_bytes_printf(out, ",\"files\":[");
	for (uint32_t i = 0, count = 0; i < wr_bundle_count(b); i++) {
		const char *name, *text;
		size_t len;

		wr_bundle_file(b, i, &name, &text, &len);
		if (strcmp(name, "script:name") && strncmp(name, "path:", 5))
			continue;
		wr_bytes_printf(out, "%s", count++ ? "," : "");
		wr_bytes_put_json(out, text, len);
	}
	wr_bytes_printf(out, "]}");
}

static void on_drawn(struct wr_reload_wish *w, const char *error)
{
	struct asked *a = (struct asked *)w;
	struct wr_bytes out = WR_BYTES_EMPTY;

	if (!error) {
		wr_bytes_printf(&out,
				"{\"version\":%" PRIu64 ",\"used\":%" PRIu64 ",\"difference\":", w->version,
				wr_reload_version(a->reload));
		wr_difference_json(wr_reload_difference(a->reload), &out);
		put_files(wr_reload_bundle(a->reload), &out);
	}
	finish(a, error, &out);
	wr_bytes_deinit(&out);
}

static int read_args(const struct wr_value *request, const char *args[ARGS_MAX],
		     struct wr_reload_script *script)
{
	const struct wr_value *list = wr_value_get(request, "args");

	if (!list)
		return WR_OK;
	if (list->tag != WR_V_LIST || list->count > ARGS_MAX)
		return wr_error_set(WR_EUSER, "args: a list of at most %d texts", ARGS_MAX);
	for (uint32_t i = 0; i < list->count; i++) {
		if (list->items[i].tag != WR_V_STR)
			return wr_error_set(WR_EUSER, "args: a list of texts");
		args[i] = list->items[i].str.p;
	}
	script->args = args;
	script->arg_count = (int)list->count;
	return WR_OK;
}

static void reload(struct wr_call *call, const struct wr_value *request, void *arg)
{
	const char *args[ARGS_MAX];
	struct wr_reload_script script = {.path = NULL};
	bool before = false;
	struct asked *a;
	int rc = wr_message_text(request, "script", &script.path);

	if (rc == WR_OK)
		rc = wr_message_flag(request, "before", &before);
	if (rc == WR_OK)
		rc = wr_message_int(request, "parallelism", &script.parallelism);
	if (rc == WR_OK)
		rc = read_args(request, args, &script);
	if (rc != WR_OK) {
		wr_call_fail(call);
		return;
	}
	a = asked_new(arg, call, on_drawn);
	if (a && before)
		wr_reload_before(arg, &a->wish);
	else if (a)
		wr_reload_draw(arg, &script, &a->wish);
}

/* ---- coming in ---- */

static void on_applied(struct wr_reload_wish *w, const char *error)
{
	struct wr_bytes out = WR_BYTES_EMPTY;

	wr_bytes_printf(&out, "{\"version\":%" PRIu64 ",\"checkpoint\":%" PRIu64 ",\"seconds\":%.6f}",
			w->version, w->checkpoint, (double)w->wait_ns / 1e9);
	finish((struct asked *)w, error, &out);
	wr_bytes_deinit(&out);
}

static void reload_apply(struct wr_call *call, const struct wr_value *request, void *arg)
{
	struct wr_reload_way way = {.allow_dropped = false};
	int64_t version = 0, probation_ms = PROBATION_MS;
	struct asked *a;
	int rc = wr_message_int(request, "version", &version);

	if (rc == WR_OK)
		rc = wr_message_flag(request, "allow_dropped", &way.allow_dropped);
	if (rc == WR_OK)
		rc = wr_message_int(request, "probation_ms", &probation_ms);
	if (rc != WR_OK) {
		wr_call_fail(call);
		return;
	}
	way.probation_ns = probation_ms < 0 ? 0 : (uint64_t)probation_ms * NS_PER_MS;
	a = asked_new(arg, call, on_applied);
	if (!a)
		return;
	a->wish.version = (uint64_t)version;
	wr_reload_apply(arg, &way, &a->wish);
}

static const struct wr_control_verb verbs[] = {
    {"reload", reload},
    {"reload_apply", reload_apply},
};

struct wr_control_verbs wr_reload_verbs(struct wr_reload *r)
{
	return (struct wr_control_verbs){verbs, sizeof verbs / sizeof *verbs, r};
}
