/* SPDX-License-Identifier: Apache-2.0 */
/* control: clients, their lines and their calls.
 *
 *   client:  READING ──a whole line──▶ CALLING ──answered──▶ WRITING ──all is sent──▶ READING
 *            READING ──end, or a line that is too long──▶ (what is unsent is sent) ──▶ gone
 *
 * While a client is not READING nothing is read from it, so what it can make us hold is one buffer of
 * requests and one answer.
 */
#include "control/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/assert.h"
#include "base/error.h"
#include "control/folder.h"

enum { CLIENTS_MAX = 256, READ_BYTES = 4096, UNSENT_MAX = 16 << 20 };

struct client {
	struct client *next;
	struct wr_control *control;
	int fd;
	struct wr_io *io;
	struct wr_bytes in, out;
	size_t sent;	      /* of `out` */
	struct wr_call *call; /* that is open, or NULL */
	bool handling;	      /* its lines are being handled further up the stack */
	bool last;	      /* nothing more is read: gone once all is sent */
	bool gone;
};

struct wr_call {
	struct wr_call *next;
	struct wr_control *control;
	struct client *client; /* NULL: it has gone */
};

struct wr_control {
	struct wr_control_verbs tables[WR_CONTROL_TABLES];
	unsigned table_count;
	char folder[WR_SOCKET_PATH], id[WR_SOCKET_ID];
	int fd;
	struct wr_loop *loop; /* or NULL */
	struct wr_io *io;     /* of the listening socket */
	struct client *clients;
	uint32_t client_count;
	struct wr_call *calls;
	struct wr_messages *messages;
};

static struct wr_mem mem = WR_MEM_INIT("control");

static void watch(struct client *c);

/* ---- sending ---- */

static void send_some(struct client *c)
{
	while (!c->gone && c->sent < c->out.len) {
		ssize_t n =
		    send(c->fd, c->out.data + c->sent, c->out.len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0)
			c->sent += (size_t)n;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		else if (errno != EINTR)
			c->gone = true;
	}
	c->out.len = c->sent = 0;
}

/* {"kind":value} and the end of the line. */
static void put_line(struct client *c, const char *kind, const void *value, size_t len)
{
	wr_bytes_printf(&c->out, "{\"%s\":", kind);
	wr_bytes_put(&c->out, value, len);
	wr_bytes_put(&c->out, "}\n", 2);
	if (c->out.failed || c->out.len - c->sent > UNSENT_MAX)
		c->gone = true;
	send_some(c);
}

static void put_error(struct client *c)
{
	struct wr_bytes text = WR_BYTES_EMPTY;
	const char *error = wr_error_text();

	wr_bytes_put_json(&text, error, strlen(error));
	if (text.failed)
		c->gone = true;
	else
		put_line(c, "error", text.data, text.len);
	wr_bytes_deinit(&text);
}

/* ---- calls ---- */

static struct wr_call *call_new(struct client *c)
{
	struct wr_call *call = wr_zalloc(&mem, sizeof *call);

	if (!call)
		return NULL;
	*call = (struct wr_call){.next = c->control->calls, .control = c->control, .client = c};
	c->control->calls = call;
	c->call = call;
	return call;
}

static void handle_lines(struct client *c);

/* What the client asked for is done: its next line is. */
static void call_end(struct wr_call *call)
{
	struct client *c = call->client;
	struct wr_call **at = &call->control->calls;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	wr_free(&mem, call);
	if (!c)
		return;
	c->call = NULL;
	if (!c->handling) {
		handle_lines(c);
		watch(c);
	}
}

void wr_call_progress(struct wr_call *call, const struct wr_bytes *json)
{
	struct client *c = call->client;

	if (!c || json->failed)
		return;
	put_line(c, "progress", json->data, json->len);
	if (!c->handling)
		watch(c);
}

void wr_call_answer(struct wr_call *call, const struct wr_bytes *json)
{
	if (wr_bytes_status(json) != WR_OK) {
		wr_call_fail(call);
		return;
	}
	if (call->client)
		put_line(call->client, "ok", json->data, json->len);
	call_end(call);
}

void wr_call_fail(struct wr_call *call)
{
	if (call->client)
		put_error(call->client);
	call_end(call);
}

static const char *nth_verb(const struct wr_control *c, unsigned n, const struct wr_control_verb **verb,
			    void **arg)
{
	for (unsigned t = 0; t < c->table_count; n -= c->tables[t++].count)
		if (n < c->tables[t].count) {
			*verb = &c->tables[t].verbs[n];
			*arg = c->tables[t].arg;
			return (*verb)->name;
		}
	return NULL;
}

static int unknown_verb(const struct wr_control *c, const char *name)
{
	struct wr_bytes known = WR_BYTES_EMPTY;
	const struct wr_control_verb *verb;
	const char *each;
	void *arg;
	int rc;

	for (unsigned n = 0; (each = nth_verb(c, n, &verb, &arg)); n++)
		wr_bytes_printf(&known, "%s%s", n ? ", " : "", each);
	wr_bytes_put_u8(&known, 0);
	rc = known.failed ? WR_EFATAL
			  : wr_error_set(WR_EUSER, "unknown verb \"%.64s\"; this job knows %s", name,
					 (const char *)known.data);
	wr_bytes_deinit(&known);
	return rc;
}

/* Begins a call, or gives an error. */
static int begin(struct client *c, const char *line, size_t len)
{
	const struct wr_control_verb *verb;
	const struct wr_value *request = NULL;
	const char *name = NULL, *each;
	struct wr_call *call;
	void *arg;
	int rc = wr_messages_parse(c->control->messages, line, len, &request);

	if (rc == WR_OK)
		rc = wr_message_text(request, "verb", &name);
	if (rc != WR_OK)
		return rc;
	if (!name)
		return wr_error_set(WR_EUSER, "\"verb\" is missing");
	for (unsigned n = 0; (each = nth_verb(c->control, n, &verb, &arg)); n++)
		if (!strcmp(each, name)) {
			call = call_new(c);
			if (!call)
				return WR_EFATAL;
			verb->handle(call, request, arg);
			return WR_OK;
		}
	return unknown_verb(c->control, name);
}

/* ---- lines ---- */

static bool is_reading(const struct client *c)
{
	return !c->gone && !c->call && c->sent == c->out.len;
}

static void drop_line(struct client *c, size_t len)
{
	c->in.len -= len;
	memmove(c->in.data, c->in.data + len, c->in.len);
}

static void handle_lines(struct client *c)
{
	c->handling = true;
	while (is_reading(c) && c->in.len) {
		const uint8_t *end = memchr(c->in.data, '\n', c->in.len);
		size_t len = end ? (size_t)(end - c->in.data) : c->in.len;

		if (len > WR_MESSAGE_MAX) {
			wr_error_set(WR_EUSER, "a request is longer than %d bytes", WR_MESSAGE_MAX);
			put_error(c);
			c->in.len = 0;
			c->last = true;
		} else if (!end) {
			break;
		} else if (begin(c, (const char *)c->in.data, len) == WR_OK) {
			drop_line(c, len + 1);
		} else {
			wr_error_wrap(wr_error_code(), "request");
			put_error(c);
			drop_line(c, len + 1);
		}
	}
	c->handling = false;
}

static void read_some(struct client *c)
{
	uint8_t *room = wr_bytes_room(&c->in, READ_BYTES);
	ssize_t n;

	if (!room) {
		c->gone = true;
		return;
	}
	n = recv(c->fd, room, READ_BYTES, MSG_DONTWAIT);
	if (n > 0)
		c->in.len += (size_t)n;
	else if (n == 0)
		c->last = true;
	else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
		c->gone = true;
}

/* ---- clients ---- */

static void client_free(struct client *c)
{
	struct client **at = &c->control->clients;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->control->client_count--;
	if (c->call)
		c->call->client = NULL;
	wr_io_stop(c->io);
	close(c->fd);
	wr_bytes_deinit(&c->in);
	wr_bytes_deinit(&c->out);
	wr_free(&mem, c);
}

static void on_client(void *arg, int events)
{
	struct client *c = arg;

	if (events & WR_IO_WRITE)
		send_some(c);
	if (events & WR_IO_READ)
		read_some(c);
	handle_lines(c);
	watch(c);
}

/* Waits for what comes next, or ends; `c` may be freed. */
static void watch(struct client *c)
{
	bool unsent = c->sent < c->out.len;
	int events = unsent ? WR_IO_WRITE : c->call || c->last ? 0 : WR_IO_READ;

	if (c->gone || (c->last && !unsent && !c->call)) {
		struct wr_io *listening = c->control->io;

		client_free(c);
		if (listening)
			wr_io_change(listening, WR_IO_READ);
		return;
	}
	if (!c->io && c->control->loop)
		c->io = wr_io_start(c->control->loop, c->fd, events, on_client, c);
	else if (c->io)
		wr_io_change(c->io, events);
}

static void client_add(struct wr_control *control, int fd)
{
	struct client *c = wr_zalloc(&mem, sizeof *c);

	if (!c) {
		close(fd);
		return;
	}
	*c = (struct client){.next = control->clients, .control = control, .fd = fd};
	control->clients = c;
	control->client_count++;
	if (control->client_count > CLIENTS_MAX) {
		wr_error_set(WR_EUSER, "%d clients are connected already", CLIENTS_MAX);
		put_error(c);
		c->gone = true;
	}
	watch(c);
}

/* Without a free descriptor nobody can be let in before somebody goes. */
static void on_listen(void *arg, int events)
{
	struct wr_control *c = arg;
	int fd;

	(void)events;
	while ((fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		client_add(c, fd);
	if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR && errno != ECONNABORTED)
		wr_io_change(c->io, 0);
}

/* ---- life ---- */

void wr_control_attach(struct wr_control *c, struct wr_loop *loop)
{
	if (c->loop == loop)
		return;
	c->loop = loop;
	wr_io_stop(c->io);
	c->io = loop ? wr_io_start(loop, c->fd, WR_IO_READ, on_listen, c) : NULL;
	for (struct client *client = c->clients, *next; client; client = next) {
		next = client->next;
		wr_io_stop(client->io);
		client->io = NULL;
		watch(client);
	}
}

const char *wr_control_id(const struct wr_control *c)
{
	return c->id;
}

static int pass_over(void *arg, const struct wr_control_entry *e)
{
	(void)arg, (void)e;
	return WR_OK;
}

static int control_init(struct wr_control *c, const struct wr_control_options *o)
{
	int rc = wr_control_folder(o->folder, true, c->folder);

	c->messages = wr_messages_new();
	if (!c->messages)
		return WR_EFATAL;
	if (rc == WR_OK)
		rc = wr_control_each(c->folder, pass_over, NULL);
	if (rc != WR_OK)
		return rc;
	wr_control_id_of(o->job, getpid(), c->id);
	c->fd = wr_control_listen(c->folder, c->id);
	return c->fd >= 0 ? WR_OK : wr_error_code();
}

struct wr_control *wr_control_open(const struct wr_control_options *o)
{
	struct wr_control *c = wr_zalloc(&mem, sizeof *c);

	if (!c)
		return NULL;
	WR_ASSERT(o->table_count <= WR_CONTROL_TABLES);
	c->table_count = o->table_count;
	for (unsigned i = 0; i < o->table_count; i++)
		c->tables[i] = o->tables[i];
	c->fd = -1;
	if (control_init(c, o) == WR_OK)
		return c;
	wr_control_close(c);
	return NULL;
}

static void remove_socket(const struct wr_control *c)
{
	char path[WR_SOCKET_PATH];

	if (wr_control_path(c->folder, "", c->id, path) == WR_OK)
		unlink(path);
	close(c->fd);
}

void wr_control_close(struct wr_control *c)
{
	if (!c)
		return;
	wr_control_attach(c, NULL);
	if (c->fd >= 0)
		remove_socket(c);
	while (c->calls) {
		wr_error_set(WR_EUSER, "the job has ended");
		wr_call_fail(c->calls);
	}
	while (c->clients)
		client_free(c->clients);
	wr_messages_free(c->messages);
	wr_free(&mem, c);
}
