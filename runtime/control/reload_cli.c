/* SPDX-License-Identifier: Apache-2.0 */
/* reload_cli: see reload_cli.h. */
#include "control/reload_cli.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/error.h"
#include "control/client.h"
#include "control/jobs.h"
#include "control/saving.h"
#include "control/show.h"

enum { WATCH_MS = 200, ASK_MS = 1000, US_PER_MS = 1000 };

struct cli {
	const struct wr_config *config;
	struct wr_client *client;
	char id[WR_SOCKET_ID];
	struct wr_bytes files; /* of the version that was drawn last, each with its NUL */
	double version;
	bool removes; /* state that it has no place for */
	bool saves;   /* a savepoint before and one after */
	struct wr_savepoint_made before, after;
};

/* ---- which job ---- */

static int open_job(struct cli *cli, const char *name)
{
	const struct wr_running *found = NULL;
	struct wr_jobs jobs;
	int rc = wr_jobs_init(&jobs, wr_config_str(cli->config, "runtime-dir"));

	if (rc == WR_OK)
		found = wr_jobs_find(&jobs, name);
	if (found) {
		snprintf(cli->id, sizeof cli->id, "%s", found->id);
		cli->client = wr_client_open(jobs.folder, found->id);
	}
	wr_jobs_deinit(&jobs);
	return rc != WR_OK ? rc : cli->client ? WR_OK : wr_error_code();
}

static bool runs(struct wr_client *client, const char *path)
{
	const char *script = NULL;
	struct wr_said said;

	if (!client || wr_client_send(client, "{\"verb\":\"info\"}") != WR_OK ||
	    wr_client_receive(client, ASK_MS, &said) != WR_OK)
		return false;
	return wr_message_text(said.value, "script", &script) == WR_OK && script && !strcmp(script, path);
}

/* The one that runs the script at `path`, which is whole. */
static int find_job(struct cli *cli, const char *path)
{
	struct wr_jobs jobs;
	int rc = wr_jobs_init(&jobs, wr_config_str(cli->config, "runtime-dir"));
	uint32_t found = 0;

	for (uint32_t i = 0; i < jobs.count && rc == WR_OK; i++) {
		struct wr_client *client = wr_client_open(jobs.folder, jobs.list[i].id);

		if (!runs(client, path) || found++) {
			wr_client_close(client);
			continue;
		}
		cli->client = client;
		snprintf(cli->id, sizeof cli->id, "%s", jobs.list[i].id);
	}
	wr_jobs_deinit(&jobs);
	if (rc == WR_OK && found != 1)
		rc = wr_error_set(WR_EUSER, "%s: %s; say which: weir reload JOB job.lua", path,
				  found ? "more than one job runs it" : "no job runs it");
	return rc;
}

/* ---- what it changes ---- */

static void put_list(const struct wr_value *part, const char *name, const char *sign, const char *noun,
		     struct wr_bytes *out)
{
	const struct wr_value *list = wr_value_get(part, name);

	for (uint32_t i = 0; list && list->tag == WR_V_LIST && i < list->count; i++) {
		const struct wr_value *v = &list->items[i];
		const char *uid = v->tag == WR_V_STR ? v->str.p : "", *what = NULL;

		if (v->tag == WR_V_RECORD &&
		    (wr_message_text(v, "uid", &uid) != WR_OK || wr_message_text(v, "what", &what) != WR_OK))
			continue;
		wr_bytes_printf(out, "  %s %s %s%s%s\n", sign, noun, uid, what ? ": " : "", what ? what : "");
	}
}

static void put_difference(const struct cli *cli, const struct wr_value *d, struct wr_bytes *out)
{
	const struct wr_value *operators = wr_value_get(d, "operators"), *state = wr_value_get(d, "state");
	bool rebuilds = false;
	size_t head;

	wr_message_flag(d, "rebuilds", &rebuilds);
	wr_bytes_printf(out, "%s, version %.0f: %s\n", cli->id, cli->version,
			rebuilds ? "the job is built anew, from a checkpoint that it takes"
				 : "the graph is the same, functions change places while the job runs");
	head = out->len;
	put_list(operators, "added", "+", "operator", out);
	put_list(operators, "removed", "-", "operator", out);
	put_list(operators, "changed", "~", "operator", out);
	put_list(state, "added", "+", "state", out);
	put_list(state, "removed", "-", "state", out);
	put_list(state, "changed", "~", "state", out);
	if (out->len == head)
		wr_bytes_printf(out, "  no operator and no state is seen to change\n");
}

static int remember_files(struct cli *cli, const struct wr_value *said)
{
	const struct wr_value *list = wr_value_get(said, "files");

	cli->files.len = 0;
	for (uint32_t i = 0; list && list->tag == WR_V_LIST && i < list->count; i++)
		if (list->items[i].tag == WR_V_STR)
			wr_bytes_put(&cli->files, list->items[i].str.p, list->items[i].str.len + 1);
	return wr_bytes_status(&cli->files);
}

static bool is_filled(const struct wr_value *d, const char *part, const char *name)
{
	const struct wr_value *of = wr_value_get(d, part), *list = of ? wr_value_get(of, name) : NULL;

	return list && list->tag == WR_V_LIST && list->count > 0;
}

/* Has another version drawn, and says what it changes; in JSON nothing yet: `json` gets it. */
static int draw(struct cli *cli, const struct wr_bytes *request, struct wr_bytes *json)
{
	const struct wr_value *difference, *version;
	struct wr_bytes text = WR_BYTES_EMPTY;
	struct wr_said said;
	int rc = wr_client_ask(cli->client, (const char *)request->data, &said);

	if (rc != WR_OK)
		return rc;
	difference = wr_value_get(said.value, "difference");
	version = wr_value_get(said.value, "version");
	if (!difference || !version || version->tag != WR_V_F64)
		return wr_error_set(WR_ETRANSIENT, "%s: an answer that this program does not know", cli->id);
	cli->version = version->f64;
	cli->removes = is_filled(difference, "state", "removed");
	rc = remember_files(cli, said.value);
	if (wr_config_bool(cli->config, "json")) {
		wr_bytes_put(json, said.json, said.len);
		return rc;
	}
	put_difference(cli, difference, &text);
	if (rc == WR_OK)
		rc = wr_bytes_status(&text);
	if (rc == WR_OK)
		fwrite(text.data, 1, text.len, stdout);
	fflush(stdout);
	wr_bytes_deinit(&text);
	return rc;
}

/* ---- savepoints ---- */

/* "x.weir" is "x-before.weir" and "x-after.weir"; without a name the file has that of job and checkpoint. */
static int save_at(const struct cli *cli, const char *when, char path[WR_SAVEPOINT_PATH])
{
	const char *name = wr_config_str(cli->config, "savepoint");
	size_t len = name ? strlen(name) : 0;

	*path = 0;
	if (!len)
		return WR_OK;
	if (len > 5 && !strcmp(name + len - 5, ".weir"))
		len -= 5;
	if (snprintf(path, WR_SAVEPOINT_PATH, "%.*s-%s.weir", (int)len, name, when) < WR_SAVEPOINT_PATH)
		return WR_OK;
	return wr_error_set(WR_EUSER, "the path %s is longer than %d bytes", name, WR_SAVEPOINT_PATH);
}

static int save(struct cli *cli, const char *when, struct wr_savepoint_made *made)
{
	char folder[WR_SAVEPOINT_PATH], path[WR_SAVEPOINT_PATH], bytes[WR_SHOW];
	int rc = cli->saves ? save_at(cli, when, path) : WR_END;

	if (rc != WR_OK)
		return rc == WR_END ? WR_OK : rc;
	rc = wr_saving_folder(cli->client, cli->id, folder);
	if (rc == WR_OK)
		rc = wr_saving_take(cli->client, folder, path, made);
	if (rc == WR_OK && !wr_config_bool(cli->config, "json"))
		printf("%s: checkpoint %" PRIu64 " of %s, %s\n", made->path, made->checkpoint, cli->id,
		       wr_show_bytes((double)made->bytes, bytes));
	fflush(stdout);
	return rc;
}

/* ---- bringing it in ---- */

static int confirm(const struct cli *cli)
{
	char line[16];

	if (wr_config_bool(cli->config, "yes"))
		return WR_OK;
	if (!isatty(STDIN_FILENO) || wr_config_bool(cli->config, "json"))
		return wr_error_set(WR_EUSER, "nothing was changed: say --yes to bring it in");
	printf("bring it in? [y/N] ");
	fflush(stdout);
	if (fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y'))
		return WR_OK;
	return wr_error_set(WR_EUSER, "nothing was changed");
}

static double number(const struct wr_said *said, const char *name)
{
	const struct wr_value *v = wr_value_get(said->value, name);

	return v && v->tag == WR_V_F64 ? v->f64 : 0;
}

static int say_json(const struct cli *cli, const struct wr_bytes *in_use, const struct wr_bytes *drawn)
{
	struct wr_bytes out = WR_BYTES_EMPTY;
	int rc;

	wr_bytes_printf(&out, "{\"id\":\"%s\",\"drawn\":%.*s,\"in_use\":%.*s", cli->id, (int)drawn->len,
			(const char *)drawn->data, (int)in_use->len, (const char *)in_use->data);
	if (cli->saves) {
		wr_bytes_printf(&out, ",\"savepoints\":[");
		wr_saving_json(&cli->before, &out);
		wr_bytes_put_u8(&out, ',');
		wr_saving_json(&cli->after, &out);
		wr_bytes_put_u8(&out, ']');
	}
	wr_bytes_printf(&out, "}\n");
	rc = wr_bytes_status(&out);
	if (rc == WR_OK)
		fwrite(out.data, 1, out.len, stdout);
	wr_bytes_deinit(&out);
	return rc;
}

static void say_done(const struct cli *cli, const struct wr_said *said)
{
	char took[WR_SHOW], probation[WR_SHOW];
	double probation_s = (double)wr_config_int(cli->config, "probation") / 1e6;

	printf("%s: version %.0f is in use, %s after it was asked for", cli->id, number(said, "version"),
	       wr_show_seconds(number(said, "seconds"), took));
	if (number(said, "checkpoint"))
		printf(", behind checkpoint %.0f", number(said, "checkpoint"));
	if (probation_s > 0)
		printf("; on probation for %s at most", wr_show_seconds(probation_s, probation));
	printf("\n");
}

/* `in_use`: what the job says of it. */
static int apply(struct cli *cli, struct wr_bytes *in_use)
{
	struct wr_bytes request = WR_BYTES_EMPTY;
	struct wr_said said;
	int rc;

	wr_bytes_printf(
	    &request,
	    "{\"verb\":\"reload_apply\",\"version\":%.0f,\"allow_dropped\":%s,\"probation_ms\":%" PRId64 "}",
	    cli->version, wr_config_bool(cli->config, "allow-dropped-state") ? "true" : "false",
	    wr_config_int(cli->config, "probation") / US_PER_MS);
	wr_bytes_put_u8(&request, 0);
	rc = wr_bytes_status(&request);
	if (rc == WR_OK)
		rc = wr_client_ask(cli->client, (const char *)request.data, &said);
	wr_bytes_deinit(&request);
	if (rc != WR_OK)
		return rc;
	wr_bytes_put(in_use, said.json, said.len);
	if (!wr_config_bool(cli->config, "json"))
		say_done(cli, &said);
	fflush(stdout);
	return wr_bytes_status(in_use);
}

/* With a savepoint on either side, if they are asked for. */
static int change(struct cli *cli, const struct wr_bytes *drawn)
{
	struct wr_bytes in_use = WR_BYTES_EMPTY;
	int rc = save(cli, "before", &cli->before);

	if (rc == WR_OK)
		rc = apply(cli, &in_use);
	if (rc == WR_OK && (rc = save(cli, "after", &cli->after)) != WR_OK)
		rc =
		    wr_error_wrap(rc, "version %.0f is in use, but its savepoint was not made", cli->version);
	if (rc == WR_OK && wr_config_bool(cli->config, "json"))
		rc = say_json(cli, &in_use, drawn);
	fflush(stdout);
	wr_bytes_deinit(&in_use);
	return rc;
}

static int bring_in(struct cli *cli, const struct wr_bytes *request, bool asks)
{
	struct wr_bytes drawn = WR_BYTES_EMPTY;
	int rc = draw(cli, request, &drawn);

	if (rc == WR_OK && cli->removes && !wr_config_bool(cli->config, "allow-dropped-state"))
		rc = wr_error_set(WR_EUSER, "state would be dropped: give the operators their former uid, or "
					    "leave it behind with --allow-dropped-state");
	if (rc == WR_OK && asks)
		rc = confirm(cli);
	if (rc == WR_OK)
		rc = change(cli, &drawn);
	wr_bytes_deinit(&drawn);
	return rc;
}

/* ---- watching ---- */

/* Changes when one of the files does; 0: one is not there, an editor may be about to write it. */
static uint64_t look(const struct wr_bytes *files)
{
	const char *path = (const char *)files->data, *end = path + files->len;
	uint64_t sum = 1;

	for (; path < end; path += strlen(path) + 1) {
		struct stat st;

		if (stat(path, &st))
			return 0;
		sum = sum * 31 + (uint64_t)st.st_mtim.tv_sec * 1000000007u + (uint64_t)st.st_mtim.tv_nsec +
		      (uint64_t)st.st_size * 13 + (uint64_t)st.st_ino;
	}
	return sum;
}

/* WR_OK after a while; else the job has ended. */
static int wait_a_while(struct cli *cli)
{
	struct wr_said said;
	int rc = wr_client_receive(cli->client, WATCH_MS, &said);

	return rc == WR_END ? WR_OK : rc;
}

static int watch(struct cli *cli, const struct wr_bytes *request)
{
	uint64_t seen = 0;
	int rc = WR_OK;

	while (rc == WR_OK) {
		uint64_t now = look(&cli->files);
		size_t files = cli->files.len;

		if (now && now != seen) {
			seen = now;
			if (bring_in(cli, request, false) != WR_OK)
				fprintf(stderr, "weir: %s\n", wr_error_text());
			if (cli->files.len != files) /* which they are is known only now */
				seen = look(&cli->files);
		}
		rc = wait_a_while(cli);
	}
	return rc;
}

/* ---- the verbs ---- */

static int put_request(const struct cli *cli, const char *path, int argc, char **argv, struct wr_bytes *out)
{
	wr_bytes_printf(out, "{\"verb\":\"reload\",\"script\":");
	wr_bytes_put_json(out, path, strlen(path));
	if (wr_config_is_set(cli->config, "parallelism"))
		wr_bytes_printf(out, ",\"parallelism\":%" PRId64, wr_config_int(cli->config, "parallelism"));
	if (argc)
		wr_bytes_printf(out, ",\"args\":[");
	for (int i = 0; i < argc; i++) {
		wr_bytes_printf(out, "%s", i ? "," : "");
		wr_bytes_put_json(out, argv[i], strlen(argv[i]));
	}
	wr_bytes_printf(out, "%s}", argc ? "]" : "");
	wr_bytes_put_u8(out, 0);
	return wr_bytes_status(out);
}

static bool is_script(const char *operand)
{
	size_t len = strlen(operand);

	return len > 4 && !strcmp(operand + len - 4, ".lua");
}

int wr_cli_reload(const struct wr_config *c, int argc, char **argv)
{
	bool watches = wr_config_bool(c, "watch"), named = argc > 0 && !is_script(argv[0]);
	struct cli cli = {.config = c, .files = WR_BYTES_EMPTY, .saves = wr_config_is_set(c, "savepoint")};
	struct wr_bytes request = WR_BYTES_EMPTY;
	char path[PATH_MAX];
	int rc = WR_OK;

	if (argc < 1 + named || (!named && !watches))
		return wr_error_set(WR_EUSER,
				    "what? weir reload [options] JOB job.lua [key=value …], or weir "
				    "reload --watch job.lua");
	if (!realpath(argv[named], path))
		return wr_error_set(WR_EUSER, "there is no script %s", argv[named]);
	wr_bytes_put(&cli.files, path, strlen(path) + 1);
	rc = named ? open_job(&cli, argv[0]) : find_job(&cli, path);
	if (rc == WR_OK)
		rc = put_request(&cli, path, argc - named - 1, argv + named + 1, &request);
	if (rc == WR_OK)
		rc = watches ? watch(&cli, &request) : bring_in(&cli, &request, true);
	wr_client_close(cli.client);
	wr_bytes_deinit(&cli.files);
	wr_bytes_deinit(&request);
	return rc;
}

int wr_cli_rollback(const struct wr_config *c, int argc, char **argv)
{
	static char before[] = "{\"verb\":\"reload\",\"before\":true}";
	struct wr_bytes request = {.data = (uint8_t *)before, .len = sizeof before};
	struct cli cli = {.config = c, .files = WR_BYTES_EMPTY, .saves = wr_config_is_set(c, "savepoint")};
	int rc;

	if (argc != 1)
		return wr_error_set(WR_EUSER, "which job? weir rollback [options] JOB");
	rc = open_job(&cli, argv[0]);
	if (rc == WR_OK)
		rc = bring_in(&cli, &request, true);
	wr_client_close(cli.client);
	wr_bytes_deinit(&cli.files);
	return rc;
}
