/* SPDX-License-Identifier: Apache-2.0 */
/* cli: see cli.h. */
#include "control/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/error.h"
#include "control/client.h"
#include "control/jobs.h"
#include "control/saving.h"
#include "control/show.h"

enum { LIST_MS = 1000, US_PER_MS = 1000 };

/* ---- saying it ---- */

static int print(struct wr_bytes *out)
{
	int rc = wr_bytes_status(out);

	if (rc == WR_OK)
		fwrite(out->data, 1, out->len, stdout);
	fflush(stdout);
	wr_bytes_deinit(out);
	return rc;
}

static void print_json(const struct wr_said *said)
{
	printf("%.*s\n", (int)said->len, said->json);
	fflush(stdout);
}

static double number(const struct wr_said *said, const char *name)
{
	const struct wr_value *v = wr_value_get(said->value, name);

	return v && v->tag == WR_V_F64 ? v->f64 : 0;
}

static const char *text(const struct wr_said *said, const char *name)
{
	const char *s = NULL;

	return wr_message_text(said->value, name, &s) == WR_OK ? s : NULL;
}

/* ---- whom it is said to ---- */

struct reached {
	struct wr_client *client;
	char id[WR_SOCKET_ID];
};

/* The job that the only operand means. */
static int reach(const struct wr_config *c, const char *verb, int argc, char **argv, struct reached *to)
{
	const struct wr_running *found = NULL;
	struct wr_jobs jobs;
	int rc = WR_OK;

	if (argc != 1)
		return wr_error_set(WR_EUSER, "%s? weir %s JOB; `weir list` shows the jobs that are running",
				    argc ? "one job at a time" : "which job", verb);
	rc = wr_jobs_init(&jobs, wr_config_str(c, "runtime-dir"));
	if (rc == WR_OK)
		found = wr_jobs_find(&jobs, argv[0]);
	if (found) {
		snprintf(to->id, sizeof to->id, "%s", found->id);
		to->client = wr_client_open(jobs.folder, found->id);
	}
	wr_jobs_deinit(&jobs);
	return rc != WR_OK ? rc : found && to->client ? WR_OK : wr_error_code();
}

/* ---- list ---- */

/* WR_OK with an answer; else the job has ended meanwhile, or is busy with its start. */
static int ask_briefly(struct wr_client *client, struct wr_said *said)
{
	int rc = client ? wr_client_send(client, "{\"verb\":\"info\"}") : WR_END;

	return rc == WR_OK ? wr_client_receive(client, LIST_MS, said) : rc;
}

static void list_one(const struct wr_jobs *jobs, const struct wr_running *job, bool json,
		     struct wr_bytes *out)
{
	struct wr_client *client = wr_client_open(jobs->folder, job->id);
	struct wr_said said;
	int rc = ask_briefly(client, &said);

	if (rc == WR_OK && json)
		wr_bytes_printf(out, "%s%.*s", out->len > 1 ? "," : "", (int)said.len, said.json);
	else if (rc == WR_OK)
		wr_show_list_line(said.value, out);
	else if (client && rc == WR_END && json)
		wr_bytes_printf(out, "%s{\"id\":\"%s\",\"pid\":%" PRId64 ",\"status\":\"busy\"}",
				out->len > 1 ? "," : "", job->id, job->pid);
	else if (client && rc == WR_END)
		wr_bytes_printf(out, "%-28s  busy\n", job->id);
	wr_client_close(client);
}

int wr_cli_list(const struct wr_config *c, int argc, char **argv)
{
	bool json = wr_config_bool(c, "json");
	struct wr_bytes out = WR_BYTES_EMPTY;
	struct wr_jobs jobs;
	int rc;

	(void)argv;
	if (argc)
		return wr_error_set(WR_EUSER, "weir list takes no operands");
	rc = wr_jobs_init(&jobs, wr_config_str(c, "runtime-dir"));
	if (json)
		wr_bytes_put_u8(&out, '[');
	else if (jobs.count)
		wr_show_list_head(&out);
	for (uint32_t i = 0; i < jobs.count && rc == WR_OK; i++)
		list_one(&jobs, &jobs.list[i], json, &out);
	if (json)
		wr_bytes_printf(&out, "]\n");
	wr_jobs_deinit(&jobs);
	if (rc == WR_OK)
		return print(&out);
	wr_bytes_deinit(&out);
	return rc;
}

/* ---- info ---- */

int wr_cli_info(const struct wr_config *c, int argc, char **argv)
{
	struct reached to;
	struct wr_bytes out = WR_BYTES_EMPTY;
	struct wr_said said;
	int rc = reach(c, "info", argc, argv, &to);

	if (rc != WR_OK)
		return rc;
	rc = wr_client_ask(to.client, "{\"verb\":\"info\"}", &said);
	if (rc == WR_OK && wr_config_bool(c, "json"))
		print_json(&said);
	else if (rc == WR_OK) {
		wr_show_info(said.value, &out);
		rc = print(&out);
	}
	wr_client_close(to.client);
	return rc;
}

/* ---- top ---- */

struct top {
	struct wr_client *client;
	struct wr_messages *before; /* holds what was said before */
	struct wr_bytes text;	    /* of that */
	const struct wr_value *was;
	uint32_t lines; /* that are on the terminal */
	bool json, redraw;
};

static int remember(struct top *t, const struct wr_said *said)
{
	t->text.len = 0;
	wr_bytes_put(&t->text, said->json, said->len);
	if (wr_bytes_status(&t->text) != WR_OK)
		return WR_EFATAL;
	return wr_messages_parse(t->before, (const char *)t->text.data, t->text.len, &t->was);
}

static int draw(struct top *t, const struct wr_said *said)
{
	struct wr_bytes out = WR_BYTES_EMPTY;

	if (t->json) {
		print_json(said);
		return WR_OK;
	}
	if (t->lines)
		wr_bytes_printf(&out, "\033[%uA\033[J", t->lines);
	wr_show_top(t->was, said->value, &out);
	for (size_t i = t->lines = 0; i < out.len && t->redraw; i++)
		t->lines += out.data[i] == '\n';
	return print(&out);
}

/* Nothing is said for so long: the pause between two tables. */
static int pause_for(struct top *t, int64_t ms)
{
	struct wr_said said;
	int rc = wr_client_receive(t->client, (int)ms, &said);

	return rc == WR_END ? WR_OK : rc;
}

static int show_top(struct top *t, int64_t every_ms, bool once)
{
	struct wr_said said;
	int rc = wr_client_ask(t->client, "{\"verb\":\"info\"}", &said);

	while (rc == WR_OK && !ferror(stdout)) { /* nobody may read it any more */
		rc = remember(t, &said);
		if (rc == WR_OK)
			rc = pause_for(t, every_ms);
		if (rc == WR_OK)
			rc = wr_client_ask(t->client, "{\"verb\":\"info\"}", &said);
		if (rc == WR_OK)
			rc = draw(t, &said);
		if (once)
			break;
	}
	return rc;
}

int wr_cli_top(const struct wr_config *c, int argc, char **argv)
{
	struct top t = {.json = wr_config_bool(c, "json"), .redraw = isatty(STDOUT_FILENO)};
	struct reached to;
	int rc = reach(c, "top", argc, argv, &to);

	if (rc != WR_OK)
		return rc;
	t.client = to.client;
	t.before = wr_messages_new();
	rc = t.before ? show_top(&t, wr_config_int(c, "interval") / US_PER_MS, wr_config_bool(c, "once"))
		      : WR_EFATAL;
	wr_messages_free(t.before);
	wr_bytes_deinit(&t.text);
	wr_client_close(to.client);
	return rc;
}

/* ---- checkpoint ---- */

int wr_cli_checkpoint(const struct wr_config *c, int argc, char **argv)
{
	char bytes[WR_SHOW], took[WR_SHOW], under_way[WR_SHOW];
	struct reached to;
	struct wr_said said;
	int rc = reach(c, "checkpoint", argc, argv, &to);

	if (rc != WR_OK)
		return rc;
	rc = wr_client_ask(to.client, "{\"verb\":\"checkpoint\"}", &said);
	if (rc == WR_OK && wr_config_bool(c, "json"))
		print_json(&said);
	else if (rc == WR_OK)
		printf("%s: checkpoint %.0f holds, %s in %s%s\n", to.id, number(&said, "checkpoint"),
		       wr_show_bytes(number(&said, "bytes"), bytes),
		       wr_show_seconds(number(&said, "seconds"), took),
		       wr_show_unaligned(said.value, under_way));
	wr_client_close(to.client);
	return rc;
}

/* ---- savepoint ---- */

int wr_cli_savepoint(const struct wr_config *c, int argc, char **argv)
{
	char folder[WR_SAVEPOINT_PATH], bytes[WR_SHOW];
	struct wr_bytes out = WR_BYTES_EMPTY;
	struct wr_savepoint_made made;
	struct reached to;
	int rc = reach(c, "savepoint", argc, argv, &to);

	if (rc != WR_OK)
		return rc;
	rc = wr_saving_folder(to.client, to.id, folder);
	if (rc == WR_OK)
		rc = wr_saving_take(to.client, folder, wr_config_str(c, "output"), &made);
	wr_client_close(to.client);
	if (rc != WR_OK)
		return rc == WR_EUSER ? WR_EUSER : WR_ETRANSIENT;
	if (wr_config_bool(c, "json")) {
		wr_saving_json(&made, &out);
		wr_bytes_put_u8(&out, '\n');
	} else {
		wr_bytes_printf(&out, "%s: checkpoint %" PRIu64 " of %s, %s\n", made.path, made.checkpoint,
				to.id, wr_show_bytes((double)made.bytes, bytes));
	}
	return print(&out);
}

/* ---- stop and cancel ---- */

struct stopping {
	struct reached to;
	double checkpoint, bytes, seconds; /* that holds; 0 = none */
	char status[WR_SHOW];
};

/* Until the job has ended and given everything back. */
static int await(struct stopping *s, const char *request)
{
	struct wr_said said;
	int rc = wr_client_send(s->to.client, request);

	while (rc == WR_OK && (rc = wr_client_receive(s->to.client, -1, &said)) == WR_AGAIN) {
		s->checkpoint = number(&said, "checkpoint");
		s->bytes = number(&said, "bytes");
		s->seconds = number(&said, "seconds");
		rc = WR_OK;
	}
	if (rc != WR_OK)
		return rc;
	snprintf(s->status, sizeof s->status, "%s", text(&said, "status") ? text(&said, "status") : "");
	wr_client_await_end(s->to.client);
	return WR_OK;
}

static int say_end(const struct wr_config *c, const struct stopping *s, const struct wr_savepoint_made *made)
{
	struct wr_bytes out = WR_BYTES_EMPTY;
	char bytes[WR_SHOW], took[WR_SHOW];

	if (wr_config_bool(c, "json")) {
		wr_bytes_printf(&out, "{\"id\":\"%s\",\"status\":\"%s\"", s->to.id, s->status);
		if (s->checkpoint)
			wr_bytes_printf(&out, ",\"checkpoint\":%.0f,\"bytes\":%.0f,\"seconds\":%.6f",
					s->checkpoint, s->bytes, s->seconds);
		if (made) {
			wr_bytes_printf(&out, ",\"savepoint\":");
			wr_saving_json(made, &out);
		}
		wr_bytes_printf(&out, "}\n");
		return print(&out);
	}
	wr_bytes_printf(&out, "%s: %s", s->to.id, s->status);
	if (s->checkpoint)
		wr_bytes_printf(&out, ", checkpoint %.0f holds, %s in %s", s->checkpoint,
				wr_show_bytes(s->bytes, bytes), wr_show_seconds(s->seconds, took));
	if (made)
		wr_bytes_printf(&out, "\n%s: savepoint, %s", made->path,
				wr_show_bytes((double)made->bytes, bytes));
	wr_bytes_put_u8(&out, '\n');
	return print(&out);
}

/* Of the last checkpoint there is a savepoint, too, where sinks could not commit what it covers (`rc`): it
 * has that. */
static int save_end(const struct wr_config *c, const struct stopping *s, int rc, const char *folder,
		    struct wr_savepoint_made *made)
{
	char why[2048];

	snprintf(why, sizeof why, "%s", rc < 0 ? wr_error_text() : "");
	if (wr_saving_make(folder, wr_config_str(c, "savepoint"), made) == WR_OK)
		return rc < 0 ? wr_error_set(rc, "%s; the savepoint %s has them, too", why, made->path) : rc;
	wr_error_wrap(WR_ETRANSIENT, "%s is %s, its state is in %s", s->to.id, rc < 0 ? "stopped" : s->status,
		      folder);
	return rc < 0 ? wr_error_set(rc, "%s; %s", why, wr_error_text()) : WR_ETRANSIENT;
}

int wr_cli_stop(const struct wr_config *c, int argc, char **argv)
{
	struct stopping s = {.checkpoint = 0};
	struct wr_savepoint_made made;
	char folder[WR_SAVEPOINT_PATH];
	bool save = wr_config_is_set(c, "savepoint");
	int rc = reach(c, "stop", argc, argv, &s.to);

	if (rc != WR_OK)
		return rc;
	if (save && (rc = wr_saving_check(wr_config_str(c, "savepoint"))) == WR_OK)
		rc = wr_saving_folder(s.to.client, s.to.id, folder);
	if (rc == WR_OK)
		rc = await(&s, wr_config_bool(c, "drain") ? "{\"verb\":\"stop\",\"drain\":true}"
							  : "{\"verb\":\"stop\"}");
	wr_client_close(s.to.client);
	if (save && (rc == WR_OK || s.checkpoint))
		rc = save_end(c, &s, rc, folder, &made);
	return rc == WR_OK ? say_end(c, &s, save ? &made : NULL) : rc;
}

int wr_cli_cancel(const struct wr_config *c, int argc, char **argv)
{
	struct stopping s = {.checkpoint = 0};
	int rc = reach(c, "cancel", argc, argv, &s.to);

	if (rc != WR_OK)
		return rc;
	rc = await(&s, "{\"verb\":\"cancel\"}");
	if (rc != WR_OK && wr_client_ended(s.to.client)) { /* it could not even say so */
		snprintf(s.status, sizeof s.status, "cancelled");
		rc = WR_OK;
	}
	wr_client_close(s.to.client);
	return rc == WR_OK ? say_end(c, &s, NULL) : rc;
}
