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

enum { PUMP_BLOCK = 64 << 10 /* a pipe's capacity */, PUMP_BLOCKS = 4 };

struct block {
	size_t len;
	uint8_t data[PUMP_BLOCK];
};

struct pump {
	struct wr_feed feed;
	struct wr_pump_options options;
	struct wr_thread thread;
	int stop_fd;  /* readable: the thread shall end */
	size_t taken; /* of the first full block */

	pthread_mutex_t mutex;
	pthread_cond_t room;
	struct block *blocks; /* a ring of PUMP_BLOCKS */
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

static int read_block(struct pump *p, struct block *b)
{
	struct pollfd fds[2] = {{.fd = p->options.fd, .events = POLLIN},
				{.fd = p->stop_fd, .events = POLLIN}};
	ssize_t n;

	do {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return wr_error_set(WR_ETRANSIENT, "cannot wait for input: %s", strerror(errno));
		if (fds[1].revents)
			return WR_END;
		n = fds[0].revents ? read(p->options.fd, b->data, PUMP_BLOCK) : -1;
	} while (n < 0 && (!fds[0].revents || errno == EINTR || errno == EAGAIN));
	if (n < 0)
		return wr_error_set(WR_ETRANSIENT, "cannot read: %s", strerror(errno));
	b->len = (size_t)n;
	if (n > 0 && p->options.taken) {
		atomic_fetch_add(&p->options.taken->bytes, n);
		atomic_store(&p->options.taken->torn, b->data[n - 1] != '\n');
	}
	return n > 0 ? WR_OK : WR_END;
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
	wr_free(&pump_mem, p->blocks);
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
	p->blocks = wr_alloc(&pump_mem, PUMP_BLOCKS * sizeof *p->blocks);
	if (p->stop_fd < 0)
		wr_error_set(WR_EFATAL, "cannot make an event descriptor: %s", strerror(errno));
	if (p->stop_fd >= 0 && p->blocks && wr_thread_start(&p->thread, o->thread, -1, pump_run, p) == WR_OK)
		return &p->feed;
	pump_deinit(p);
	return NULL;
}
