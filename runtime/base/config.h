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
	WR_OPT_CHOICE, /* one of `choices`, "a|b|c" → string */
};

struct wr_option {
	const char
	    *name;   /* long flag without dashes: "buffer-timeout" → WEIR_BUFFER_TIMEOUT, buffer_timeout */
	char letter; /* short flag or 0 */
	enum wr_option_kind kind;
	const char *fallback; /* default as text, parsed like a user's value; NULL = unset */
	int64_t min, max;
	const char *choices;
	const char *value_name; /* in help: "MS" */
	const char *bare;	/* STRING: the value where none is given; NULL: one must be */
	const char *verbs;	/* verbs that take it: "run,check"; NULL = all */
	const char *help;	/* one sentence */
};

extern const struct wr_option wr_options[];
extern const int wr_options_count;
bool wr_option_takes(const struct wr_option *o, const char *verb); /* verb NULL: any */

struct wr_config; /* all values; one per process, one thread until it is constant */
struct wr_config *wr_config_new(void);
void wr_config_free(struct wr_config *c);

/* The three readers below may be called in any order: a value only replaces one of the same or a lower
 * rank. Each returns WR_OK, WR_EFATAL without memory, or WR_EUSER with a text that names place, option
 * and value, says what is allowed, and for an unknown name the nearest known one. */

/* Flags of `verb` from argv[1] on (argv[0] is the verb); operands are moved behind them and the index of
 * the first one is left in *operand. */
int wr_config_args(struct wr_config *c, const char *verb, int argc, char **argv, int *operand);
/* WEIR_* variables (an empty one is unset, an unknown one is a warning), then the file: `file`; if NULL,
 * the value of `config`; without one ./weir.toml, else ./weir.lua if there. A path that ends in .lua is
 * not read here: it is left as the value of `config`, and the script layer hands its pairs to
 * wr_config_set. */
int wr_config_load(struct wr_config *c, const char *file);
/* One pair of a config file: "buffer_timeout", "10ms"; origin is its place, "weir.toml:3". */
int wr_config_set(struct wr_config *c, const char *key, const char *value, const char *origin);
/* What a script asks for: holds where nobody else says anything. */
int wr_config_script(struct wr_config *c, const char *name, const char *value);
/* All pairs of a weir.toml: lines "key = value" with strings, numbers and booleans, # comments; no
 * sections, no lists. `path` is for messages. */
int wr_config_toml(struct wr_config *c, const char *path, const char *text, size_t len);

/* A name that is not in the table is a bug (assert), as is asking for another kind. */
bool wr_config_bool(const struct wr_config *c, const char *name);
int64_t wr_config_int(const struct wr_config *c, const char *name);	/* 0 if unset */
const char *wr_config_str(const struct wr_config *c, const char *name); /* NULL if unset; borrowed */
bool wr_config_is_set(const struct wr_config *c, const char *name);	/* by the user, not by default */
/* Forgets what was said of `name`, an option without a default (asserted). Texts borrowed of it are gone. */
void wr_config_unset(struct wr_config *c, const char *name);

/* Texts made from the table. */
void wr_config_help(const char *verb, struct wr_bytes *out);
void wr_config_man(struct wr_bytes *out); /* the OPTIONS section in roff */

/* "10s", "5m", "100us", "1h30m", "0.5s" or a number (ms) → whole microseconds; "-1" → -1.
 * "64k", "1 GiB", "1.5mb" → bytes (k, kb and kib are all 1024). WR_EUSER says what is allowed. */
int wr_parse_duration(const char *s, int64_t *us);
int wr_parse_bytes(const char *s, int64_t *bytes);

/* The name nearest to `word` if it is near enough to be meant, else NULL. nth(i) gives names[0 … count). */
const char *wr_suggest(const char *word, const char *(*nth)(int i), int count);
