/* SPDX-License-Identifier: Apache-2.0 */
/* client: see client.h. */
#include "control/client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/error.h"

enum { READ_BYTES = 64 << 10, LINE_MAX_BYTES = 64 << 20, NS_PER_MS = 1000000 };

struct wr_client {
	int fd;
	struct wr_bytes in;
	size_t taken; /* of `in`, by the line that was given last */
	struct wr_messages *messages;
	bool ended;
	char id[WR_SOCKET_ID];
};

static struct wr_mem mem = WR_MEM_INIT("control.client");

struct wr_client *wr_client_open(const char *folder, const char *id)
{
	struct wr_client *c = wr_zalloc(&mem, sizeof *c);

	if (!c)
		return NULL;
	strncpy(c->id, id, sizeof c->id - 1);
	c->messages = wr_messages_new();
	c->fd = wr_control_connect(folder, id);
	if (c->messages && c->fd >= 0)
		return c;
	wr_client_close(c);
	return NULL;
}

void wr_client_close(struct wr_client *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	wr_bytes_deinit(&c->in);
	wr_messages_free(c->messages);
	wr_free(&mem, c);
}

static int lost(const struct wr_client *c, int error)
{
	return wr_error_set(WR_ETRANSIENT, "%s: %s", c->id, error ? strerror(error) : "the job has ended");
}

static int send_all(struct wr_client *c, const char *p, size_t len)
{
	while (len) {
		ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return lost(c, errno == EPIPE ? 0 : errno);
		p += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return WR_OK;
}

int wr_client_send(struct wr_client *c, const char *request)
{
	int rc = send_all(c, request, strlen(request));

	return rc == WR_OK ? send_all(c, "\n", 1) : rc;
}

/* WR_OK: there are more bytes, or the end (*end); WR_END: time is over. */
static int read_more(struct wr_client *c, uint64_t deadline_ns, bool *end)
{
	uint64_t now_ns = wr_clock_ns(wr_clock_system());
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	uint8_t *room = wr_bytes_room(&c->in, READ_BYTES);
	int left_ms = deadline_ns == UINT64_MAX ? -1
		      : deadline_ns <= now_ns	? 0
						: (int)((deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS);
	ssize_t n;

	if (!room)
		return WR_EFATAL;
	if (poll(&p, 1, left_ms) == 0)
		return WR_END;
	n = recv(c->fd, room, READ_BYTES, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return WR_OK;
	c->in.len += n > 0 ? (size_t)n : 0;
	*end = c->ended = n <= 0;
	return WR_OK;
}

static int read_line(struct wr_client *c, uint64_t deadline_ns, size_t *len)
{
	bool end = false;

	c->in.len -= c->taken;
	if (c->taken)
		memmove(c->in.data, c->in.data + c->taken, c->in.len);
	c->taken = 0;
	for (;;) {
		const uint8_t *at = c->in.len ? memchr(c->in.data, '\n', c->in.len) : NULL;
		int rc = WR_OK;

		if (at) {
			*len = (size_t)(at - c->in.data);
			c->taken = *len + 1;
			return WR_OK;
		}
		if (end || c->in.len > LINE_MAX_BYTES)
			return lost(c, 0);
		rc = read_more(c, deadline_ns, &end);
		if (rc != WR_OK)
			return rc;
	}
}

/* {"KIND":…}: where the value begins, or NULL. */
static const char *kind_is(const char *line, size_t len, const char *kind, size_t *value_len)
{
	size_t n = strlen(kind);

	if (len < n + 5 || memcmp(line, "{\"", 2) || memcmp(line + 2, kind, n) ||
	    memcmp(line + 2 + n, "\":", 2))
		return NULL;
	*value_len = len - n - 5;
	return line + n + 4;
}

int wr_client_receive(struct wr_client *c, int timeout_ms, struct wr_said *out)
{
	uint64_t deadline_ns =
	    timeout_ms < 0 ? UINT64_MAX : wr_clock_ns(wr_clock_system()) + (uint64_t)timeout_ms * NS_PER_MS;
	const struct wr_value *message;
	const char *line, *error = NULL;
	size_t len = 0;
	int rc = read_line(c, deadline_ns, &len);

	if (rc != WR_OK)
		return rc;
	line = (const char *)c->in.data;
	rc = wr_messages_parse(c->messages, line, len, &message);
	if (rc == WR_OK)
		rc = wr_message_text(message, "error", &error);
	if (rc == WR_OK && error)
		return wr_error_set(WR_ETRANSIENT, "%s: %s", c->id, error);
	if (rc == WR_OK && (out->json = kind_is(line, len, "ok", &out->len))) {
		out->value = wr_value_get(message, "ok");
		return WR_OK;
	}
	if (rc == WR_OK && (out->json = kind_is(line, len, "progress", &out->len))) {
		out->value = wr_value_get(message, "progress");
		return WR_AGAIN;
	}
	return wr_error_set(WR_ETRANSIENT, "%s: an answer that this program does not understand", c->id);
}

int wr_client_ask(struct wr_client *c, const char *request, struct wr_said *out)
{
	int rc = wr_client_send(c, request);

	if (rc == WR_OK)
		do
			rc = wr_client_receive(c, -1, out);
		while (rc == WR_AGAIN);
	return rc;
}

bool wr_client_ended(const struct wr_client *c)
{
	return c->ended;
}

void wr_client_await_end(struct wr_client *c)
{
	bool end = false;

	while (!end && read_more(c, UINT64_MAX, &end) == WR_OK)
		c->in.len = c->taken = 0;
}
