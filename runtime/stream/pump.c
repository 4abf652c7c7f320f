/* SPDX-License-Identifier: Apache-2.0 */
/* pump: a feed with a thread of its own; see pump.h. `read` and `free` run on the task's
 * thread, the rest on the pump's; what both touch is under `mutex`. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "stream/pump.h"

enum {
	PUMP_BLOCK = 64 << 10, /* a pipe's capacity */
	KEEP_BLOCK =
	    256 << 10, /* kept at once: with a sync each, a disk that takes a millisecond is fast enough */
	PUMP_BLOCKS = 4,
};

struct block {
	size_t len;
	uint8_t *data;
};

struct pump {
	struct wr_feed feed;
	struct wr_pump_options options;
	struct wr_thread thread;
	int stop_fd;  /* readable: the thread shall end */
	size_t taken; /* of the first full block */

	pthread_mutex_t mutex;
	pthread_cond_t room;
	struct block blocks[PUMP_BLOCKS]; /* a ring */
	uint8_t *room_of_blocks;
	size_t block_size;
	bool stopped;	      /* the pump's thread: it shall end */
	int ended;	      /* and: WR_OK, WR_END or an error of the stream, behind what was read */
	char why[256];	      /* of that error */
	struct wr_bytes rest; /* the pump's thread: read, and no whole line yet */
	uint32_t first, full;
	bool stop;
	int state;	/* WR_OK, WR_END or an error code, behind the full blocks */
	char text[256]; /* of the error */
};

static struct wr_mem pump_mem = WR_MEM_INIT("stream.pump");

/* ---- on the pump's thread ---- */

/* The next block to fill, NULL when it is time to stop. */
static struct block *empty_block(struct pump *p)
{
	struct block *b;

	pthread_mutex_lock(&p->mutex);
	while (p->full == PUMP_BLOCKS && !p->stop)
		pthread_cond_wait(&p->room, &p->mutex);
	b = p->stop ? NULL : &p->blocks[(p->first + p->full) % PUMP_BLOCKS];
	pthread_mutex_unlock(&p->mutex);
	return b;
}

/* Appends what is there to the block. WR_AGAIN: nothing, and it was not to be waited for; WR_END: the stream
 * has ended, or the thread shall. */
static int read_some(struct pump *p, struct block *b, bool wait)
{
	struct pollfd fds[2] = {{.fd = p->options.fd, .events = POLLIN},
				{.fd = p->stop_fd, .events = POLLIN}};
	ssize_t n;

	do {
		int ready = poll(fds, 2, wait ? -1 : 0);

		if (ready < 0 && errno != EINTR)
			return wr_error_set(WR_ETRANSIENT, "cannot wait for input: %s", strerror(errno));
		p->stopped = fds[1].revents != 0;
		if (p->stopped)
			return WR_END;
		if (ready == 0)
			return WR_AGAIN;
		n = fds[0].revents ? read(p->options.fd, b->data + b->len, p->block_size - b->len) : -1;
	} while (n < 0 && (!fds[0].revents || errno == EINTR || errno == EAGAIN));
	if (n < 0)
		return wr_error_set(WR_ETRANSIENT, "cannot read: %s", strerror(errno));
	b->len += (size_t)n;
	if (n > 0 && p->options.taken) {
		atomic_fetch_add(&p->options.taken->bytes, n);
		atomic_store(&p->options.taken->torn, b->data[b->len - 1] != '\n');
	}
	return n > 0 ? WR_OK : WR_END;
}

static void set_rest(struct pump *p, const uint8_t *from, size_t len)
{
	p->rest.len = 0;
	wr_bytes_put(&p->rest, from, len);
}

static size_t whole_lines(const struct block *b)
{
	const uint8_t *lf = memrchr(b->data, '\n', b->len);

	return lf ? (size_t)(lf + 1 - b->data) : 0;
}

/* Hands on what is kept; what is not, comes first the next time. */
static int keep(struct pump *p, struct block *b, size_t len)
{
	int rc = len ? p->options.keep(p->options.keep_arg, b->data, len) : WR_OK;

	if (rc == WR_OK && p->ended == WR_END)
		rc = p->options.keep(p->options.keep_arg, NULL, 0);
	if (rc != WR_OK)
		len = 0;
	set_rest(p, b->data + len, b->len - len);
	b->len = len;
	return rc == WR_OK ? wr_bytes_status(&p->rest) : rc;
}

/* As many whole lines as there are and fit; of a line that is longer than a block, a part. */
static int read_lines(struct pump *p, struct block *b)
{
	size_t whole;
	int rc = WR_OK;

	memcpy(b->data, p->rest.data ? p->rest.data : b->data, p->rest.len);
	b->len = p->rest.len;
	whole = whole_lines(b);
	while (rc == WR_OK && b->len < p->block_size) {
		rc = read_some(p, b, !whole);
		whole = whole_lines(b);
	}
	if (p->stopped) {
		set_rest(p, b->data, b->len);
		return WR_END;
	}
	p->ended = rc == WR_AGAIN ? WR_OK : rc;
	if (rc < 0)
		snprintf(p->why, sizeof p->why, "%s", wr_error_text());
	rc = keep(p, b, p->ended == WR_END || !whole ? (p->ended < 0 ? 0 : b->len) : whole);
	return rc == WR_OK && !b->len ? p->ended : rc;
}

static int read_block(struct pump *p, struct block *b)
{
	b->len = 0;
	if (p->options.keep && p->ended)
		return p->ended < 0 ? wr_error_set(p->ended, "%s", p->why) : WR_END;
	if (p->options.keep)
		return read_lines(p, b);
	return read_some(p, b, true);
}

static void publish(struct pump *p, int rc)
{
	pthread_mutex_lock(&p->mutex);
	if (rc == WR_OK)
		p->full++;
	else
		p->state = rc;
	if (rc < 0)
		snprintf(p->text, sizeof p->text, "%s", wr_error_text());
	wr_notify_fire(&p->options.wake);
	pthread_mutex_unlock(&p->mutex);
}

static void *pump_run(void *arg)
{
	struct pump *p = arg;
	struct block *b;
	int rc = p->options.fd < 0 ? p->options.dial(p->options.dial_arg, p->stop_fd, &p->options.fd) : WR_OK;

	if (rc != WR_OK)
		publish(p, rc);
	while (rc == WR_OK && (b = empty_block(p))) {
		rc = read_block(p, b);
		publish(p, rc);
	}
	return NULL;
}

/* ---- on the task's thread ---- */

static int pump_read(struct wr_feed *feed, uint8_t *to, size_t room, size_t *got)
{
	struct pump *p = (struct pump *)feed;
	struct block *b;
	int state;

	pthread_mutex_lock(&p->mutex);
	b = p->full > 0 ? &p->blocks[p->first] : NULL;
	state = p->state;
	pthread_mutex_unlock(&p->mutex);
	if (!b && state < 0)
		return wr_error_set(state, "%s", p->text);
	if (!b)
		return state == WR_END ? WR_END : WR_AGAIN;
	*got = b->len - p->taken < room ? b->len - p->taken : room;
	memcpy(to, b->data + p->taken, *got);
	p->taken += *got;
	if (p->taken == b->len) {
		p->taken = 0;
		pthread_mutex_lock(&p->mutex);
		p->first = (p->first + 1) % PUMP_BLOCKS;
		p->full--;
		pthread_cond_signal(&p->room);
		pthread_mutex_unlock(&p->mutex);
	}
	return WR_OK;
}

static void pump_deinit(struct pump *p)
{
	if (p->stop_fd >= 0)
		close(p->stop_fd);
	pthread_cond_destroy(&p->room);
	pthread_mutex_destroy(&p->mutex);
	wr_free(&pump_mem, p->room_of_blocks);
	wr_bytes_deinit(&p->rest);
	wr_free(&pump_mem, p);
}

static void pump_free(struct wr_feed *feed)
{
	struct pump *p = (struct pump *)feed;

	pthread_mutex_lock(&p->mutex);
	p->stop = true;
	pthread_cond_signal(&p->room);
	pthread_mutex_unlock(&p->mutex);
	eventfd_write(p->stop_fd, 1);
	wr_thread_join(&p->thread);
	if (p->options.close && p->options.fd >= 0)
		close(p->options.fd);
	if (p->options.rest) {
		wr_bytes_deinit(p->options.rest);
		*p->options.rest = p->rest;
		p->rest = (struct wr_bytes)WR_BYTES_EMPTY;
	}
	pump_deinit(p);
}

static const struct wr_feed_ops pump_ops = {pump_read, pump_free};

struct wr_feed *wr_pump_new(const struct wr_pump_options *o)
{
	struct pump *p = wr_zalloc(&pump_mem, sizeof *p);

	if (!p)
		return NULL;
	p->feed.ops = &pump_ops;
	p->options = *o;
	pthread_mutex_init(&p->mutex, NULL);
	pthread_cond_init(&p->room, NULL);
	p->stop_fd = eventfd(0, EFD_CLOEXEC);
	p->block_size = o->keep ? KEEP_BLOCK : PUMP_BLOCK;
	p->room_of_blocks = wr_alloc(&pump_mem, PUMP_BLOCKS * p->block_size);
	for (uint32_t i = 0; p->room_of_blocks && i < PUMP_BLOCKS; i++)
		p->blocks[i].data = p->room_of_blocks + i * p->block_size;
	if (o->rest)
		wr_bytes_put(&p->rest, o->rest->data, o->rest->len);
	if (p->stop_fd < 0)
		wr_error_set(WR_EFATAL, "cannot make an event descriptor: %s", strerror(errno));
	if (p->stop_fd >= 0 && p->room_of_blocks && wr_bytes_status(&p->rest) == WR_OK &&
	    wr_thread_start(&p->thread, o->thread, -1, pump_run, p) == WR_OK)
		return &p->feed;
	pump_deinit(p);
	return NULL;
}
