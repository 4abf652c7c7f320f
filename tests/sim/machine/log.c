/* SPDX-License-Identifier: Apache-2.0 */
/* log: the program's, see machine.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "sim/machine/machine.h"

bool machine_traces;
static struct {
	const char *topic;
	void (*heard)(const char *text);
} listener;

void __wrap_wr_log_write(struct wr_log_site *site, enum wr_log_level level, const char *topic,
			 const char *fmt, ...) __attribute__((format(printf, 4, 5)));

void machine_log_init(const char *topic, void (*heard)(const char *text))
{
	listener.topic = topic;
	listener.heard = heard;
	machine_traces = getenv("TRACE") != NULL;
	wr_log_setup(WR_LOG_DEBUG, false);
}

void __wrap_wr_log_write(struct wr_log_site *site, enum wr_log_level level, const char *topic,
			 const char *fmt, ...)
{
	static const char *const levels[] = {"debug", "info", "warn", "error"};
	bool heard = listener.topic && !strcmp(topic, listener.topic);
	char text[4096];
	va_list ap;

	(void)site;
	if (!heard && !machine_traces)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (heard)
		listener.heard(text);
	if (machine_traces)
		fprintf(stderr, "%12.6f%s %s %s: %s\n", (double)machine_clock()->manual_ns / 1e9,
			machine_has_crashed() ? " (dead)" : "", levels[level], topic, text);
}
