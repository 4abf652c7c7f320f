/* SPDX-License-Identifier: Apache-2.0 */
/* config_text: options as people write and read them: durations and sizes, weir.toml, the help
 * and the manual. */
#include "base/config.h"

#include <ctype.h>
#include <stdio.h>
#include "base/error.h"

/* ---- quantities ---- */

struct unit {
	const char *name;
	int64_t size;
};

static const struct unit times[] = {{"us", 1},	       {"ms", 1000},	  {"s", 1000000},     {"m", 60000000},
				    {"min", 60000000}, {"h", 3600000000}, {"d", 86400000000}, {NULL, 0}};
static const struct unit sizes[] = {{"b", 1},		{"k", 1 << 10},	  {"kb", 1 << 10},  {"kib", 1 << 10},
				    {"m", 1 << 20},	{"mb", 1 << 20},  {"mib", 1 << 20}, {"g", 1 << 30},
				    {"gb", 1 << 30},	{"gib", 1 << 30}, {"t", 1LL << 40}, {"tb", 1LL << 40},
				    {"tib", 1LL << 40}, {NULL, 0}};

static int64_t unit_size(const struct unit *units, const char *s, size_t len)
{
	for (; units->name; units++)
		if (strlen(units->name) == len && !strncasecmp(units->name, s, len))
			return units->size;
	return 0;
}

/* Adds one "1.5mb" to *sum and moves *s behind it; a number without unit counts in `bare`. */
static bool quantity_add(const char **s, const struct unit *units, int64_t bare, int64_t *sum)
{
	int64_t whole = 0, part = 0, scale = 1, size;
	const char *p = *s, *unit;

	if (!isdigit((unsigned char)*p))
		return false;
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, *p - '0', &whole))
			return false;
	if (*p == '.') {
		p++;
		if (!isdigit((unsigned char)*p))
			return false;
	}
	for (; isdigit((unsigned char)*p) && scale < 1000000; p++, scale *= 10)
		part = part * 10 + *p - '0';
	while (*p == ' ')
		p++;
	for (unit = p; isalpha((unsigned char)*p); p++)
		;
	size = p == unit ? bare : unit_size(units, unit, (size_t)(p - unit));
	if (!size || __builtin_mul_overflow(whole, size, &whole) ||
	    __builtin_mul_overflow(part, size, &part) || part % scale ||
	    __builtin_add_overflow(whole, part / scale, &whole) || __builtin_add_overflow(*sum, whole, sum))
		return false;
	*s = p;
	return true;
}

static int duration_refuse(void)
{
	return wr_error_set(WR_EUSER, "not a duration: write 100us, 10ms, 5s, 2m, 1h30m, 1d or a number of "
				      "milliseconds");
}

int wr_parse_duration(const char *s, int64_t *us)
{
	int64_t sum = 0;
	const char *p = s;

	if (!strcmp(s, "-1")) {
		*us = -1;
		return WR_OK;
	}
	if (!quantity_add(&p, times, 1000, &sum))
		return duration_refuse();
	while (*p)
		if (!isalpha((unsigned char)p[-1]) || !quantity_add(&p, times, 0, &sum))
			return duration_refuse();
	*us = sum;
	return WR_OK;
}

int wr_parse_bytes(const char *s, int64_t *bytes)
{
	int64_t sum = 0;
	const char *p = s;

	if (!quantity_add(&p, sizes, 1, &sum) || *p)
		return wr_error_set(WR_EUSER, "not a size: write 65536, 64k, 32 MiB or 1.5g");
	*bytes = sum;
	return WR_OK;
}

/* ---- weir.toml ---- */

struct toml {
	const char *p, *end;
	const char *path;
	int line;
	char key[64], value[4096];
};

static int toml_refuse(const struct toml *t, const char *what)
{
	return wr_error_set(WR_EUSER, "%s:%d: %s", t->path, t->line, what);
}

static void toml_blanks(struct toml *t)
{
	while (t->p < t->end && (*t->p == ' ' || *t->p == '\t'))
		t->p++;
}

/* The rest of the line holds nothing but blanks and a comment; moves to the next line. */
static int toml_line_end(struct toml *t)
{
	toml_blanks(t);
	if (t->p < t->end && *t->p == '#')
		while (t->p < t->end && *t->p != '\n')
			t->p++;
	if (t->p < t->end && *t->p == '\r')
		t->p++;
	if (t->p < t->end && *t->p++ != '\n')
		return toml_refuse(t, "one \"key = value\" a line is allowed");
	t->line++;
	return WR_OK;
}

static int toml_key(struct toml *t)
{
	size_t n = 0;

	while (t->p < t->end && (isalnum((unsigned char)*t->p) || *t->p == '_' || *t->p == '-')) {
		if (n + 1 == sizeof t->key)
			return toml_refuse(t, "this key is too long");
		t->key[n++] = *t->p++;
	}
	t->key[n] = 0;
	toml_blanks(t);
	if (!n || t->p == t->end || *t->p++ != '=')
		return toml_refuse(t, "a line is \"key = value\", as in buffer_timeout = \"10ms\"");
	toml_blanks(t);
	return WR_OK;
}

static int toml_string(struct toml *t)
{
	static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
	char quote = *t->p++;
	size_t n = 0;

	while (t->p < t->end && *t->p != quote && *t->p != '\n' && *t->p) {
		char c = *t->p++;

		if (c == '\\' && quote == '"') {
			const char *at = t->p < t->end && *t->p ? strchr(from, *t->p) : NULL;

			if (!at)
				return toml_refuse(
				    t, "this escape is not known: \\b \\t \\n \\f \\r \\\" \\\\ are");
			c = to[at - from];
			t->p++;
		}
		if (n + 1 == sizeof t->value)
			return toml_refuse(t, "this string is too long");
		t->value[n++] = c;
	}
	t->value[n] = 0;
	if (t->p == t->end || *t->p != quote)
		return toml_refuse(t, "this string does not end");
	t->p++;
	return WR_OK;
}

static int toml_word(struct toml *t)
{
	size_t n = 0;
	bool word;

	for (; t->p < t->end && (isalnum((unsigned char)*t->p) || strchr("+-._", *t->p)) && *t->p; t->p++)
		if (*t->p != '_' && n + 1 < sizeof t->value)
			t->value[n++] = *t->p;
	t->value[n] = 0;
	word = !strcmp(t->value, "true") || !strcmp(t->value, "false");
	if (!word && (!n || strspn(t->value, "+-.0123456789") != n))
		return toml_refuse(t, "a value is a \"string\", a number, true or false");
	return WR_OK;
}

static int toml_pair(struct wr_config *c, struct toml *t)
{
	char origin[512];
	int rc;

	if (*t->p == '[')
		return toml_refuse(t, "sections are not known here: write every key without one");
	rc = toml_key(t);
	if (rc == WR_OK)
		rc = t->p < t->end && (*t->p == '"' || *t->p == '\'') ? toml_string(t) : toml_word(t);
	if (rc != WR_OK)
		return rc;
	snprintf(origin, sizeof origin, "%s:%d", t->path, t->line);
	rc = toml_line_end(t);
	return rc == WR_OK ? wr_config_set(c, t->key, t->value, origin) : rc;
}

int wr_config_toml(struct wr_config *c, const char *path, const char *text, size_t len)
{
	struct toml t = {.p = text, .end = text + len, .path = path, .line = 1};
	int rc = WR_OK;

	while (rc == WR_OK && t.p < t.end) {
		toml_blanks(&t);
		if (t.p == t.end || *t.p == '#' || *t.p == '\n' || *t.p == '\r')
			rc = toml_line_end(&t);
		else
			rc = toml_pair(c, &t);
	}
	return rc;
}

/* ---- help and manual ---- */

enum { HELP_COLUMN = 28, HELP_WIDTH = 80 };

/* Appends `text` broken into lines; `at` is the column reached. */
static void put_wrapped(struct wr_bytes *out, const char *text, size_t at)
{
	while (*text) {
		size_t len = strcspn(text, " ");

		if (at > HELP_COLUMN && at + 1 + len > HELP_WIDTH) {
			wr_bytes_printf(out, "\n%*s", HELP_COLUMN, "");
			at = HELP_COLUMN;
		} else if (at > HELP_COLUMN) {
			wr_bytes_put_u8(out, ' ');
			at++;
		}
		wr_bytes_put(out, text, len);
		at += len;
		text += len;
		text += strspn(text, " ");
	}
	wr_bytes_put_u8(out, '\n');
}

static void describe(const struct wr_option *o, char *text, size_t size)
{
	int n = snprintf(text, size, "%s", o->help);

	if (o->choices)
		n += snprintf(text + n, size - (size_t)n, " One of %s.", o->choices);
	if (o->fallback)
		snprintf(text + n, size - (size_t)n, " Default: %s.", o->fallback);
}

void wr_config_help(const char *verb, struct wr_bytes *out)
{
	for (int i = 0; i < wr_options_count; i++) {
		const struct wr_option *o = &wr_options[i];
		char flag[64], text[512];
		int n;

		if (!wr_option_takes(o, verb))
			continue;
		n = o->letter ? snprintf(flag, sizeof flag, "  -%c, --%s", o->letter, o->name)
			      : snprintf(flag, sizeof flag, "      --%s", o->name);
		if (o->value_name)
			snprintf(flag + n, sizeof flag - (size_t)n, o->bare ? "[=%s]" : " %s", o->value_name);
		wr_bytes_printf(out, "%-*s", HELP_COLUMN, flag);
		if (strlen(flag) >= HELP_COLUMN)
			wr_bytes_printf(out, "\n%*s", HELP_COLUMN, "");
		describe(o, text, sizeof text);
		put_wrapped(out, text, HELP_COLUMN);
	}
	wr_bytes_printf(out,
			"Each can be given as --name value, as WEIR_NAME in the environment, or as a line\n"
			"name = value in weir.toml; the first of these that says something wins.\n");
}

/* Roff reads '-' as a hyphen, '\' as a command, and '.' or ''' at the start of a line as a request. */
static void put_roff(struct wr_bytes *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		wr_bytes_put(out, "\\&", 2);
	for (; *text; text++) {
		if (*text == '-')
			wr_bytes_put(out, "\\-", 2);
		else if (*text == '\\')
			wr_bytes_put(out, "\\e", 2);
		else
			wr_bytes_put_u8(out, (uint8_t)*text);
	}
}

void wr_config_man(struct wr_bytes *out)
{
	wr_bytes_printf(out, ".SH OPTIONS\n");
	for (int i = 0; i < wr_options_count; i++) {
		const struct wr_option *o = &wr_options[i];
		char text[512];

		wr_bytes_printf(out, ".TP\n");
		if (o->letter)
			wr_bytes_printf(out, "\\fB\\-%c\\fR, ", o->letter);
		wr_bytes_printf(out, "\\fB\\-\\-");
		put_roff(out, o->name);
		wr_bytes_printf(out, "\\fR");
		if (o->value_name)
			wr_bytes_printf(out, o->bare ? "[=\\fI%s\\fR]" : " \\fI%s\\fR", o->value_name);
		wr_bytes_put_u8(out, '\n');
		describe(o, text, sizeof text);
		put_roff(out, text);
		if (o->verbs)
			wr_bytes_printf(out, "\nTaken by: %s.", o->verbs);
		wr_bytes_put_u8(out, '\n');
	}
}
