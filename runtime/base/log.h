/* SPDX-License-Identifier: Apache-2.0 */
/* log: lines to standard error, as text or as JSON lines. Thread-safe. Each call site
 * is limited to a few lines a second; what was held back is counted in the next line. */
#pragma once
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/clock.h"

enum wr_log_level { WR_LOG_DEBUG, WR_LOG_INFO, WR_LOG_WARN, WR_LOG_ERROR, WR_LOG_OFF };

struct wr_log_site {
	_Atomic int64_t window_s; /* second in which `count` lines were offered */
	_Atomic int32_t count;
	_Atomic int32_t held;
};

/* level by name ("debug" … "off"), -1 if unknown. */
int wr_log_level_parse(const char *name);
/* Before that: level info, text without colour, the machine's clock. */
void wr_log_setup(enum wr_log_level level, bool json);
void wr_log_set_color(bool on); /* the caller knows whether standard error is a terminal that wants it */
/* The clock of times and of the limit (simulator, tests); NULL: the machine's. Must outlive its use. */
void wr_log_set_clock(struct wr_clock *clock);
bool wr_log_enabled(enum wr_log_level level);
void wr_log_write(struct wr_log_site *site, enum wr_log_level level, const char *topic, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* A line that is under way on the terminal (the live line) is erased before a log line and drawn
 * again behind it; NULL removes it. */
void wr_log_set_live(const char *line);

#define WR_LOG(level, topic, ...)                                                                            \
	do {                                                                                                 \
		static struct wr_log_site wr_site_;                                                          \
		if (wr_log_enabled(level))                                                                   \
			wr_log_write(&wr_site_, level, topic, __VA_ARGS__);                                  \
	} while (0)
#define wr_debug(topic, ...) WR_LOG(WR_LOG_DEBUG, topic, __VA_ARGS__)
#define wr_info(topic, ...) WR_LOG(WR_LOG_INFO, topic, __VA_ARGS__)
#define wr_warn(topic, ...) WR_LOG(WR_LOG_WARN, topic, __VA_ARGS__)
#define wr_err(topic, ...) WR_LOG(WR_LOG_ERROR, topic, __VA_ARGS__)
