/* SPDX-License-Identifier: Apache-2.0 */
/* config: the value of each option and the rank of the place it came from. Filled on the main
 * thread at start; constant afterwards. */
#include "base/config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"

enum { NAME_MAX_ = 64, LONG_BASE = 256, FILE_BYTES_MAX = 1 << 20 };
enum rank { RANK_DEFAULT, RANK_SCRIPT, RANK_FILE, RANK_ENV, RANK_FLAG };

static struct wr_mem mem = WR_MEM_INIT("base.config");

struct value {
	int64_t i; /* FLAG, INT, BYTES, DURATION */
	char *s;   /* STRING, CHOICE; NULL = unset */
	enum rank rank;
	char *origin; /* where a RANK_FILE value was written, else NULL */
};
struct wr_config {
	struct value *values; /* by index in wr_options */
};

/* ---- the table ---- */

/* Writes `name` as an option's name (lower case, dashes); false if it cannot be one. */
static bool normal_name(const char *name, size_t len, char out[NAME_MAX_])
{
	out[0] = 0;
	if (len >= NAME_MAX_)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = name[i];

		out[i] = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
	}
	out[len] = 0;
	return true;
}

static int option_find(const char *name)
{
	for (int i = 0; i < wr_options_count; i++)
		if (!strcmp(wr_options[i].name, name))
			return i;
	return -1;
}

static const char *option_name(int i)
{
	return wr_options[i].name;
}

/* `word` is one of the words of "a,b,c" (or "a|b|c"), and not several of them. */
static bool list_has(const char *list, char separator, const char *word)
{
	size_t len = strcspn(word, (char[]){separator, 0});

	if (!len || word[len])
		return false;
	for (const char *p = list; p; p = strchr(p, separator)) {
		p += p != list;
		if (!strncmp(p, word, len) && (!p[len] || p[len] == separator))
			return true;
	}
	return false;
}

bool wr_option_takes(const struct wr_option *o, const char *verb)
{
	return !o->verbs || !verb || list_has(o->verbs, ',', verb);
}

/* Optimal string alignment distance; words longer than the buffer are far from everything. */
static int distance(const char *a, const char *b)
{
	int la = (int)strlen(a), lb = (int)strlen(b);
	int d[NAME_MAX_ + 1][NAME_MAX_ + 1];

	if (la > NAME_MAX_ || lb > NAME_MAX_)
		return NAME_MAX_;
	for (int i = 0; i <= la; i++)
		d[i][0] = i;
	for (int j = 0; j <= lb; j++)
		d[0][j] = j;
	for (int i = 1; i <= la; i++) {
		for (int j = 1; j <= lb; j++) {
			int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[la][lb];
}

const char *wr_suggest(const char *word, const char *(*nth)(int i), int count)
{
	const char *nearest = NULL;
	int bound = strlen(word) < 6 ? 1 : (int)strlen(word) / 3;

	for (int i = 0; i < count; i++) {
		int d = distance(word, nth(i));

		if (d < bound || (d == bound && !nearest)) {
			bound = d;
			nearest = nth(i);
		}
	}
	return nearest;
}

/* ---- values ---- */

static int parse_flag(const char *text, int64_t *v)
{
	if (list_has("true|yes|on|1", '|', text))
		*v = 1;
	else if (list_has("false|no|off|0", '|', text))
		*v = 0;
	else
		return wr_error_set(WR_EUSER, "not true or false");
	return WR_OK;
}

static int parse_int(const char *text, int64_t *v)
{
	char *end;

	errno = 0;
	*v = strtoll(text, &end, 10);
	if (end == text || *end || errno || *text == ' ')
		return wr_error_set(WR_EUSER, "not a whole number");
	return WR_OK;
}

static int check_range(const struct wr_option *o, int64_t v)
{
	const char *unit = o->kind == WR_OPT_DURATION ? " microseconds"
			   : o->kind == WR_OPT_BYTES  ? " bytes"
						      : "";

	if (o->kind == WR_OPT_FLAG || (v >= o->min && v <= o->max))
		return WR_OK;
	if (o->max == INT64_MAX)
		return wr_error_set(WR_EUSER, "allowed is %lld%s or more", (long long)o->min, unit);
	return wr_error_set(WR_EUSER, "allowed is %lld to %lld%s", (long long)o->min, (long long)o->max,
			    unit);
}

/* Reads `text` as a value of `o` into *v; v->s is new. */
static int value_parse(const struct wr_option *o, const char *text, struct value *v)
{
	int rc = WR_OK;

	switch (o->kind) {
	case WR_OPT_FLAG:
		rc = parse_flag(text, &v->i);
		break;
	case WR_OPT_INT:
		rc = parse_int(text, &v->i);
		break;
	case WR_OPT_BYTES:
		rc = wr_parse_bytes(text, &v->i);
		break;
	case WR_OPT_DURATION:
		rc = wr_parse_duration(text, &v->i);
		break;
	case WR_OPT_CHOICE:
		if (!list_has(o->choices, '|', text))
			return wr_error_set(WR_EUSER, "allowed is %s", o->choices);
		/* fall through */
	case WR_OPT_STRING:
		v->s = wr_strdup(&mem, text);
		return v->s ? WR_OK : WR_EFATAL;
	}
	return rc == WR_OK ? check_range(o, v->i) : rc;
}

static void value_deinit(struct value *v)
{
	wr_free(&mem, v->s);
	wr_free(&mem, v->origin);
}

/* Sets option `index` unless a higher rank already has. The error says only what is wrong with `text`. */
static int value_set(struct wr_config *c, int index, const char *text, enum rank rank, const char *origin)
{
	struct value *old = &c->values[index], v = {.rank = rank};
	int rc = value_parse(&wr_options[index], text, &v);

	if (rc == WR_OK && rank == RANK_FILE && old->rank == RANK_FILE)
		rc = wr_error_set(WR_EUSER, "was already set at %s", old->origin);
	if (rc == WR_OK && origin) {
		v.origin = wr_strdup(&mem, origin);
		rc = v.origin ? WR_OK : WR_EFATAL;
	}
	if (rc != WR_OK || old->rank > rank) {
		value_deinit(&v);
		return rc;
	}
	value_deinit(old);
	*old = v;
	return WR_OK;
}

struct wr_config *wr_config_new(void)
{
	struct wr_config *c = wr_zalloc(&mem, sizeof *c);

	if (!c)
		return NULL;
	c->values = wr_zalloc(&mem, (size_t)wr_options_count * sizeof *c->values);
	for (int i = 0; c->values && i < wr_options_count; i++) {
		int rc = wr_options[i].fallback ? value_set(c, i, wr_options[i].fallback, RANK_DEFAULT, NULL)
						: WR_OK;

		WR_ASSERT(rc != WR_EUSER);
		if (rc != WR_OK) {
			wr_config_free(c);
			return NULL;
		}
	}
	if (!c->values) {
		wr_free(&mem, c);
		return NULL;
	}
	return c;
}

void wr_config_free(struct wr_config *c)
{
	if (!c)
		return;
	for (int i = 0; i < wr_options_count; i++)
		value_deinit(&c->values[i]);
	wr_free(&mem, c->values);
	wr_free(&mem, c);
}

static const struct value *value_of(const struct wr_config *c, const char *name)
{
	int i = option_find(name);

	WR_ASSERT(i >= 0);
	return &c->values[i];
}

static bool kind_is_text(const char *name)
{
	enum wr_option_kind kind = wr_options[option_find(name)].kind;

	return kind == WR_OPT_STRING || kind == WR_OPT_CHOICE;
}

bool wr_config_bool(const struct wr_config *c, const char *name)
{
	const struct value *v = value_of(c, name);

	WR_ASSERT(wr_options[option_find(name)].kind == WR_OPT_FLAG);
	return v->i != 0;
}

int64_t wr_config_int(const struct wr_config *c, const char *name)
{
	const struct value *v = value_of(c, name);

	WR_ASSERT(!kind_is_text(name));
	return v->i;
}

const char *wr_config_str(const struct wr_config *c, const char *name)
{
	const struct value *v = value_of(c, name);

	WR_ASSERT(kind_is_text(name));
	return v->s;
}

bool wr_config_is_set(const struct wr_config *c, const char *name)
{
	return value_of(c, name)->rank != RANK_DEFAULT;
}

void wr_config_unset(struct wr_config *c, const char *name)
{
	int index = option_find(name);
	struct value *v = &c->values[index];

	WR_ASSERT(!wr_options[index].fallback);
	value_deinit(v);
	*v = (struct value){.rank = RANK_DEFAULT};
}

/* ---- file and environment ---- */

int wr_config_set(struct wr_config *c, const char *key, const char *value, const char *origin)
{
	char name[NAME_MAX_], near[NAME_MAX_] = "";
	int index = normal_name(key, strlen(key), name) ? option_find(name) : -1, rc;

	if (index < 0) {
		const char *meant = wr_suggest(name, option_name, wr_options_count);

		if (!meant)
			return wr_error_set(WR_EUSER, "%s: there is no option '%s'", origin, key);
		snprintf(near, sizeof near, "%s", meant);
		for (char *p = near; *p; p++)
			*p = *p == '-' ? '_' : *p;
		return wr_error_set(WR_EUSER, "%s: there is no option '%s': did you mean '%s'?", origin, key,
				    near);
	}
	rc = value_set(c, index, value, RANK_FILE, origin);
	return rc == WR_OK ? rc : wr_error_wrap(rc, "%s: %s = %s", origin, key, value);
}

int wr_config_script(struct wr_config *c, const char *name, const char *value)
{
	int index = option_find(name), rc;

	if (index < 0)
		return wr_error_set(WR_EBUG, "the script sets '%s', which is no option", name);
	rc = value_set(c, index, value, RANK_SCRIPT, NULL);
	return rc == WR_OK ? rc : wr_error_wrap(rc, "weir.job: %s = %s", name, value);
}

static int env_set(struct wr_config *c, const char *entry)
{
	const char *eq = strchr(entry, '=');
	char name[NAME_MAX_];
	int index, rc;

	if (!eq || !eq[1])
		return WR_OK;
	index = normal_name(entry + 5, (size_t)(eq - entry - 5), name) ? option_find(name) : -1;
	if (index < 0) {
		wr_warn("config", "the environment variable %.*s is no option of Weir", (int)(eq - entry),
			entry);
		return WR_OK;
	}
	rc = value_set(c, index, eq + 1, RANK_ENV, NULL);
	return rc == WR_OK ? rc : wr_error_wrap(rc, "environment: %s", entry);
}

static int file_read(const char *path, struct wr_bytes *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 1;

	while (n > 0 && text->len <= FILE_BYTES_MAX) {
		uint8_t *to = wr_bytes_room(text, 4096);

		n = to ? read(fd, to, 4096) : 0;
		text->len += n > 0 ? (size_t)n : 0;
	}
	if (n < 0)
		wr_error_set(WR_EUSER, "cannot read %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return WR_EUSER;
	if (text->len > FILE_BYTES_MAX)
		return wr_error_set(WR_EUSER, "%s is too long for a file of options", path);
	return wr_bytes_status(text);
}

static bool is_lua(const char *path)
{
	size_t len = strlen(path);

	return len > 4 && !strcmp(path + len - 4, ".lua");
}

int wr_config_load(struct wr_config *c, const char *file)
{
	extern char **environ;
	struct wr_bytes text = WR_BYTES_EMPTY;
	int rc = WR_OK, config = option_find("config");

	for (char **e = environ; *e && rc == WR_OK; e++)
		if (!strncmp(*e, "WEIR_", 5))
			rc = env_set(c, *e);
	if (rc != WR_OK)
		return rc;
	if (!file)
		file = c->values[config].s;
	if (!file)
		file = access("weir.toml", F_OK) == 0  ? "weir.toml"
		       : access("weir.lua", F_OK) == 0 ? "weir.lua"
						       : NULL;
	if (!file)
		return WR_OK;
	if (is_lua(file))
		return file == c->values[config].s ? WR_OK : value_set(c, config, file, RANK_FLAG, NULL);
	rc = file_read(file, &text);
	if (rc == WR_OK)
		rc = wr_config_toml(c, file, (const char *)text.data, text.len);
	wr_bytes_deinit(&text);
	return rc;
}

/* ---- flags ---- */

/* The tables of getopt_long: `letters` and `longs` have room for all options. */
static void getopt_tables(char *letters, struct option *longs)
{
	*letters++ = ':';
	for (int i = 0; i < wr_options_count; i++) {
		const struct wr_option *o = &wr_options[i];

		bool optional = o->kind == WR_OPT_FLAG || o->bare;

		longs[i] = (struct option){o->name, optional ? optional_argument : required_argument, NULL,
					   LONG_BASE + i};
		if (o->letter) {
			*letters++ = o->letter;
			if (o->kind != WR_OPT_FLAG)
				*letters++ = ':';
		}
	}
	longs[wr_options_count] = (struct option){NULL, 0, NULL, 0};
	*letters = 0;
}

static int option_of_getopt(int val)
{
	if (val >= LONG_BASE)
		return val - LONG_BASE;
	for (int i = 0; i < wr_options_count; i++)
		if (wr_options[i].letter == val)
			return i;
	return -1;
}

static int unknown_flag(const char *arg)
{
	char name[NAME_MAX_];
	const char *meant;

	if (arg[0] != '-' || arg[1] != '-')
		return wr_error_set(WR_EUSER, "there is no option -%c", optopt);
	meant = normal_name(arg + 2, strcspn(arg + 2, "="), name)
		    ? wr_suggest(name, option_name, wr_options_count)
		    : NULL;
	if (meant)
		return wr_error_set(WR_EUSER, "there is no option %s: did you mean --%s?", arg, meant);
	return wr_error_set(WR_EUSER, "there is no option %s", arg);
}

static int flag_set(struct wr_config *c, const char *verb, int index)
{
	const struct wr_option *o = &wr_options[index];
	const char *text = optarg ? optarg : o->bare ? o->bare : "true";
	int rc;

	if (!wr_option_takes(o, verb))
		return wr_error_set(WR_EUSER, "weir %s has no option --%s (these have: %s)", verb, o->name,
				    o->verbs);
	rc = value_set(c, index, text, RANK_FLAG, NULL);
	return rc == WR_OK ? rc : wr_error_wrap(rc, "--%s=%s", o->name, text);
}

int wr_config_args(struct wr_config *c, const char *verb, int argc, char **argv, int *operand)
{
	struct option *longs = wr_alloc(&mem, (size_t)(wr_options_count + 1) * sizeof *longs);
	char *letters = wr_alloc(&mem, (size_t)wr_options_count * 2 + 2);
	int rc = longs && letters ? WR_OK : WR_EFATAL, val;

	if (rc == WR_OK)
		getopt_tables(letters, longs);
	optind = 0; /* glibc: start afresh */
	opterr = 0;
	while (rc == WR_OK && (val = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (val == '?')
			rc = unknown_flag(argv[optind - 1]);
		else if (val == ':')
			rc = wr_error_set(WR_EUSER, "%s needs a value", argv[optind - 1]);
		else
			rc = flag_set(c, verb, option_of_getopt(val));
	}
	*operand = optind;
	wr_free(&mem, longs);
	wr_free(&mem, letters);
	return rc;
}
