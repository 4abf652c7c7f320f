/* SPDX-License-Identifier: Apache-2.0 */
/* config: the options of the program, each declared once.
 *
 * One row of the table gives the flag, the WEIR_* variable, the key in weir.toml or
 * weir.lua, the validation, the help text and the manual. Precedence: flag, then
 * environment, then file, then default. Read once at start, then constant.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/bytes.h"

enum wr_option_kind {
	WR_OPT_FLAG,	 /* bool */
	WR_OPT_INT,	 /* int64 within [min, max] */
	WR_OPT_BYTES,	 /* "64k", "1GiB" → int64 */
	WR_OPT_DURATION, /* "10ms", "5m", plain number = ms → int64 microseconds; -1 allowed if min < 0 */
	WR_OPT_STRING,
	WR_OPT_CHOICE,	 /* one of `choices`, "a|b|c" → string */
};

struct wr_option {
	const char *name; /* long flag without dashes: "buffer-timeout" → WEIR_BUFFER_TIMEOUT, buffer_timeout */
	char letter;	  /* short flag or 0 */
	enum wr_option_kind kind;
	const char *fallback; /* default as text, parsed like a user's value; NULL = unset */
	int64_t min, max;
	const char *choices;
	const char *value_name; /* in help: "MS" */
	const char *verbs;	/* verbs that take it: "run,check"; NULL = all */
	const char *help;	/* one sentence */
};

extern const struct wr_option wr_options[];
extern const int wr_options_count;

struct wr_config; /* all values; one per process */
struct wr_config *wr_config_new(void);
void wr_config_free(struct wr_config *c);
/* Reads file (NULL: ./weir.toml if there is one), environment; then argv for `verb`. Leaves the
 * index of the first operand in *operand. WR_EUSER names flag and value and says what is allowed. */
int wr_config_load(struct wr_config *c, const char *file);
int wr_config_args(struct wr_config *c, const char *verb, int argc, char **argv, int *operand);
bool wr_config_bool(const struct wr_config *c, const char *name);
int64_t wr_config_int(const struct wr_config *c, const char *name);
const char *wr_config_str(const struct wr_config *c, const char *name); /* NULL if unset */
bool wr_config_is_set(const struct wr_config *c, const char *name);	/* by the user, not by default */
/* Texts made from the table. */
void wr_config_help(const char *verb, struct wr_bytes *out);
void wr_config_man(struct wr_bytes *out); /* the OPTIONS section in roff */
/* "10s", "5m", "100us", "1h30m" or a number (ms) → microseconds. "64k", "1 GiB" → bytes. */
int wr_parse_duration(const char *s, int64_t *us);
int wr_parse_bytes(const char *s, int64_t *bytes);
