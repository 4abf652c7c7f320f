/* SPDX-License-Identifier: Apache-2.0 */
/* log: a line is put together on the caller's stack and leaves in one write, so that lines of
 * several processes stay whole too; a mutex keeps it and the live line apart. No heap. */
#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/bytes.h"

enum { LINES_A_SECOND = 5, TEXT_MAX = 8192, LINE_MAX_ = 16384, LIVE_MAX = 512 };

static const char *const level_names[] = {"debug", "info", "warn", "error", "off"};
static _Atomic int level_min = WR_LOG_INFO;
static _Atomic bool as_json;
static _Atomic bool colour;
static _Atomic(struct wr_clock *) clock_used;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards `live` and the order on the terminal */
static char live[LIVE_MAX];

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

void wr_log_set_color(bool on)
{
	atomic_store(&colour, on);
}

void wr_log_set_clock(struct wr_clock *clock)
{
	atomic_store(&clock_used, clock);
}

bool wr_log_enabled(enum wr_log_level level)
{
	return (int)level >= atomic_load_explicit(&level_min, memory_order_relaxed);
}

/* ---- a line; what does not fit is cut off, the last byte is kept for the line feed ---- */

struct line {
	size_t len;
	char data[LINE_MAX_];
};

static void put(struct line *l, const char *s, size_t len)
{
	size_t room = sizeof l->data - 1 - l->len;

	if (len > room)
		len = room;
	memcpy(l->data + l->len, s, len);
	l->len += len;
}

static void put_text(struct line *l, const char *s)
{
	put(l, s, strlen(s));
}

__attribute__((format(printf, 2, 3))) static void put_format(struct line *l, const char *fmt, ...)
{
	char text[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	put_text(l, text);
}

/* A JSON string of at most half a line; stops between two characters. */
static void put_json(struct line *l, const char *text)
{
	size_t until = l->len + LINE_MAX_ / 2 - 128, len = strlen(text), n;
	char out[WR_JSON_CHAR];

	put_text(l, "\"");
	while (len && l->len < until) {
		size_t used = wr_json_char(text, len, out, &n);

		put(l, out, n);
		text += used;
		len -= used;
	}
	put_text(l, "\"");
}

/* Writes a line of JSON: all of it fits, since each of the two strings takes at most half. */
static void line_json(struct line *l, int64_t ms, enum wr_log_level level, const char *topic,
		      const char *text, int held)
{
	char time[WR_CLOCK_TEXT];

	wr_clock_text(ms, time);
	put_format(l, "{\"time\":\"%s\",\"level\":\"%s\"", time, level_names[level]);
	if (held)
		put_format(l, ",\"held_back\":%d", held);
	put_text(l, ",\"topic\":");
	put_json(l, topic);
	put_text(l, ",\"text\":");
	put_json(l, text);
	put_text(l, "}");
}

static void line_text(struct line *l, int64_t ms, enum wr_log_level level, const char *topic,
		      const char *text, int held)
{
	static const char *const colours[] = {"\033[2m", "", "\033[33m", "\033[31m"};
	const char *in = atomic_load(&colour) ? colours[level] : "";
	char time[WR_CLOCK_TEXT];

	wr_clock_text(ms, time);
	put_text(l, in);
	put(l, time + 11, 12); /* hours to milliseconds */
	put_format(l, " %-5s %s: ", level_names[level], topic);
	if (held)
		put_format(l, "(%d like this were held back) ", held);
	put_text(l, text);
	put_text(l, *in ? "\033[0m" : "");
}

/* ---- writing ---- */

static void write_all(const char *s, size_t len)
{
	while (len) {
		ssize_t n = write(STDERR_FILENO, s, len);

		if (n <= 0)
			return; /* nobody can be told */
		s += n;
		len -= (size_t)n;
	}
}

void wr_log_set_live(const char *line)
{
	char out[LIVE_MAX + 8];
	int n;

	pthread_mutex_lock(&mutex);
	n = snprintf(out, sizeof out, "%s%.*s", live[0] || line ? "\r\033[K" : "", LIVE_MAX - 1,
		     line ? line : "");
	snprintf(live, sizeof live, "%s", line ? line : "");
	write_all(out, (size_t)n);
	pthread_mutex_unlock(&mutex);
}

/* Number of lines held back before this one, or −1 when this one is held back, too. Two threads that
 * open a new second at once may let a few lines more pass. */
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

void wr_log_write(struct wr_log_site *site, enum wr_log_level level, const char *topic, const char *fmt, ...)
{
	struct wr_clock *clock = atomic_load(&clock_used);
	int64_t ms = wr_clock_ms(clock ? clock : wr_clock_system());
	int held = site_pass(site, ms / 1000);
	char text[TEXT_MAX];
	struct line line;
	va_list ap;

	if (held < 0)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	line.len = 0;
	pthread_mutex_lock(&mutex);
	if (live[0])
		put_text(&line, "\r\033[K");
	(atomic_load(&as_json) ? line_json : line_text)(&line, ms, level, topic, text, held);
	line.data[line.len++] = '\n';
	write_all(line.data, line.len);
	write_all(live, strlen(live));
	pthread_mutex_unlock(&mutex);
}
