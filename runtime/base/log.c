/* SPDX-License-Identifier: Apache-2.0 */
/* log: one mutex around standard error keeps lines whole; sites are limited with atomics. */
#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"

enum { LINES_A_SECOND = 5 };
static const char *const level_names[] = {"debug", "info", "warn", "error", "off"};
static _Atomic int level_min = WR_LOG_INFO;
static _Atomic bool as_json;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char live[512];

int wr_log_level_parse(const char *name)
{
	for (int i = 0; i <= WR_LOG_OFF; i++)
		if (!strcmp(name, level_names[i]))
			return i;
	return -1;
}

void wr_log_setup(enum wr_log_level level, bool json)
{
	atomic_store(&level_min, level);
	atomic_store(&as_json, json);
}

bool wr_log_enabled(enum wr_log_level level)
{
	return (int)level >= atomic_load_explicit(&level_min, memory_order_relaxed);
}

void wr_log_set_live(const char *line)
{
	pthread_mutex_lock(&mutex);
	if (live[0] || line)
		fputs("\r\033[K", stderr);
	snprintf(live, sizeof live, "%s", line ? line : "");
	fputs(live, stderr);
	fflush(stderr);
	pthread_mutex_unlock(&mutex);
}

static void put_json(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c == '\n')
			fputs("\\n", f);
		else if (c < 0x20)
			fprintf(f, "\\u%04x", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

/* Number of lines held back before this one, or −1 when this one is held back, too. */
static int site_pass(struct wr_log_site *site, int64_t second)
{
	int64_t window = atomic_load_explicit(&site->window_s, memory_order_relaxed);

	if (window != second) {
		atomic_store_explicit(&site->window_s, second, memory_order_relaxed);
		atomic_store_explicit(&site->count, 0, memory_order_relaxed);
	}
	if (atomic_fetch_add_explicit(&site->count, 1, memory_order_relaxed) >= LINES_A_SECOND) {
		atomic_fetch_add_explicit(&site->held, 1, memory_order_relaxed);
		return -1;
	}
	return atomic_exchange_explicit(&site->held, 0, memory_order_relaxed);
}

void wr_log_write(struct wr_log_site *site, enum wr_log_level level, const char *topic,
		  const char *fmt, ...)
{
	static const char *const colours[] = {"\033[2m", "", "\033[33m", "\033[31m"};
	struct wr_clock *clock = wr_clock_system();
	int64_t ms = wr_clock_ms(clock), second = ms / 1000;
	int held = site_pass(site, second);
	bool colour = isatty(STDERR_FILENO);
	char text[8192];
	va_list ap;

	if (held < 0)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&mutex);
	if (live[0])
		fputs("\r\033[K", stderr);
	if (atomic_load(&as_json)) {
		fprintf(stderr, "{\"time_ms\":%lld,\"level\":\"%s\",\"topic\":", (long long)ms, level_names[level]);
		put_json(stderr, topic);
		fputs(",\"text\":", stderr);
		put_json(stderr, text);
		if (held)
			fprintf(stderr, ",\"held_back\":%d", held);
		fputs("}\n", stderr);
	} else {
		int64_t day = second % 86400;

		fprintf(stderr, "%s%02d:%02d:%02d.%03d %-5s %s: %s", colour ? colours[level] : "",
			(int)(day / 3600), (int)(day / 60 % 60), (int)(day % 60), (int)(ms % 1000),
			level_names[level], topic, text);
		if (held)
			fprintf(stderr, " (%d like this were held back)", held);
		fputs(colour && colours[level][0] ? "\033[0m\n" : "\n", stderr);
	}
	if (live[0])
		fputs(live, stderr);
	fflush(stderr);
	pthread_mutex_unlock(&mutex);
}
