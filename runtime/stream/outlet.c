/* SPDX-License-Identifier: Apache-2.0 */
/* outlet: text on its way out; see outlet.h. The stage's functions run on the task's thread,
 * work and done on an I/O thread; what both touch is under `mutex`, held for a few
 * instructions only. One job is posted at a time: it writes all blocks that wait. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "stream/outlet.h"
#include "stream/pipe.h"

enum {
	BLOCK_SIZE = 64 << 10,	/* handed over when it holds as much; a pipe's capacity */
	BLOCK_KEEP = 256 << 10, /* a block that grew beyond (one huge line) is given back */
	BLOCKS_MAX = 8,		/* on their way: 512 KiB, enough to cover a slow write */
	AT_ONCE_MAX = 16 << 10, /* bytes; more costs the stage's thread more than to wake another one, */
	AT_ONCE_NS = 200000,	/* as does what comes sooner than so behind what came before it */
};

struct wr_outlet {
	struct wr_iojob job; /* first: the job is the outlet */
	struct wr_outlet_options options;
	struct wr_ioqueue *queue;
	struct wr_bytes *block; /* the stage's */
	char text[256];		/* of the failure, set before `state` */
	int stop_fd;		/* readable: a peer is no longer waited for; −1 = there is none */
	bool at_once;		/* the stage's thread writes what a pipe has room for */
	uint64_t flushed_ns;	/* the last time */

	pthread_mutex_t mutex;
	pthread_cond_t idle;
	struct wr_bytes blocks[BLOCKS_MAX + 1];
	struct wr_bytes *spare[BLOCKS_MAX + 1];
	uint32_t spare_count;
	struct wr_bytes *waiting[BLOCKS_MAX + 1]; /* in order, to be written */
	uint32_t waiting_count;
	bool running; /* the job is posted and `done` not through */
	bool paused;  /* the stage waits for wake */
	bool draining;
	bool drained;
	int state; /* WR_OK, WR_END or an error code */
};

static struct wr_mem outlet_mem = WR_MEM_INIT("stream.outlet");

/* ---- on the I/O thread ---- */

static void fail(struct wr_outlet *o, int code)
{
	if (code < 0)
		snprintf(o->text, sizeof o->text, "%s", wr_error_text());
	pthread_mutex_lock(&o->mutex);
	o->state = code;
	pthread_mutex_unlock(&o->mutex);
}

static int write_failed(struct wr_outlet *o)
{
	if (errno == EPIPE && o->options.pipe)
		return WR_END;
	return wr_error_set(o->options.dial ? WR_ETRANSIENT : WR_EFATAL, "cannot write %s: %s",
			    o->options.name, strerror(errno));
}

/* A connection is not waited for in write(), since its peer may never read. Standard output may be a pipe or
 * terminal that another process has made non-blocking. WR_END: stopped. */
static int await_room(const struct wr_outlet *o)
{
	struct pollfd p[2] = {{.fd = o->options.fd, .events = POLLOUT}, {.fd = o->stop_fd, .events = POLLIN}};

	return poll(p, 2, -1) > 0 && p[1].revents ? WR_END : WR_OK;
}

static int write_all(struct wr_outlet *o, struct iovec *v, int count)
{
	int rc = WR_OK;

	while (count > 0 && rc == WR_OK) {
		ssize_t n = WR_FAULT("file.write", &errno) ? -1 : writev(o->options.fd, v, count);

		if (n < 0 && errno == EAGAIN)
			rc = await_room(o);
		else if (n < 0 && errno != EINTR)
			return write_failed(o);
		for (; n > 0 && count > 0; v++, count--) {
			if ((size_t)n < v->iov_len) {
				v->iov_base = (char *)v->iov_base + n;
				v->iov_len -= (size_t)n;
				break;
			}
			n -= (ssize_t)v->iov_len;
		}
	}
	return rc;
}

/* Writes the given blocks, whole lines; of a shared file what is left of somebody's before. */
static int write_blocks(struct wr_outlet *o, struct wr_bytes **blocks, uint32_t count)
{
	struct wr_outlet_shared *shared = o->options.shared;
	struct iovec v[BLOCKS_MAX + 2];
	int n = 0, rc;

	if (shared) {
		pthread_mutex_lock(&shared->lock);
		if (shared->rest.len > 0)
			v[n++] = (struct iovec){shared->rest.data, shared->rest.len};
	}
	for (uint32_t i = 0; i < count; i++)
		if (blocks[i]->len > 0)
			v[n++] = (struct iovec){blocks[i]->data, blocks[i]->len};
	rc = write_all(o, v, n);
	if (shared) {
		wr_bytes_deinit(&shared->rest);
		pthread_mutex_unlock(&shared->lock);
	}
	return rc;
}

static int sync_file(struct wr_outlet *o)
{
	int failed = WR_FAULT("file.fsync", &errno) ? -1 : fsync(o->options.fd);

	if (failed == 0 || errno == EINVAL) /* a pipe or a device has nothing to sync */
		return WR_OK;
	return wr_error_set(WR_EFATAL, "cannot sync %s: %s", o->options.name, strerror(errno));
}

static int connect_it(struct wr_outlet *o)
{
	int rc = o->options.dial(o->options.dial_arg, o->stop_fd, &o->options.fd), flags;

	if (rc != WR_OK)
		return rc;
	flags = fcntl(o->options.fd, F_GETFL);
	return fcntl(o->options.fd, F_SETFL, flags | O_NONBLOCK) == 0 ? WR_OK : write_failed(o);
}

static int ready_to_write(struct wr_outlet *o)
{
	sigset_t pipe;

	/* a closed pipe is an answer of write(), not the end of the process */
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	return o->options.fd >= 0 ? WR_OK : connect_it(o);
}

static uint32_t take_waiting(struct wr_outlet *o, struct wr_bytes **blocks, bool *draining)
{
	uint32_t count;

	pthread_mutex_lock(&o->mutex);
	count = o->waiting_count;
	memcpy(blocks, o->waiting, count * sizeof *blocks);
	o->waiting_count = 0;
	*draining = o->draining;
	pthread_mutex_unlock(&o->mutex);
	return count;
}

static void give_back(struct wr_outlet *o, struct wr_bytes **blocks, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		blocks[i]->len = 0;
		if (blocks[i]->cap > BLOCK_KEEP)
			wr_bytes_deinit(blocks[i]);
	}
	pthread_mutex_lock(&o->mutex);
	memcpy(&o->spare[o->spare_count], blocks, count * sizeof *blocks);
	o->spare_count += count;
	pthread_mutex_unlock(&o->mutex);
}

static void outlet_work(struct wr_iojob *job)
{
	struct wr_outlet *o = (struct wr_outlet *)job;
	struct wr_bytes *blocks[BLOCKS_MAX + 1];
	bool draining = false;
	uint32_t count = take_waiting(o, blocks, &draining);
	int rc = o->state; /* written by this thread's side only */

	if (rc == WR_OK)
		rc = ready_to_write(o);
	if (rc == WR_OK)
		rc = write_blocks(o, blocks, count);
	if (rc == WR_OK && draining && o->options.sync)
		rc = sync_file(o);
	if (rc != WR_OK && o->state == WR_OK)
		fail(o, rc);
	give_back(o, blocks, count);
	pthread_mutex_lock(&o->mutex);
	o->drained = draining && o->waiting_count == 0;
	pthread_mutex_unlock(&o->mutex);
}

static void outlet_done(struct wr_iojob *job)
{
	struct wr_outlet *o = (struct wr_outlet *)job;

	pthread_mutex_lock(&o->mutex);
	if (o->waiting_count > 0 || (o->draining && !o->drained)) {
		wr_ioqueue_post(o->queue, &o->job);
	} else {
		o->running = false;
		pthread_cond_signal(&o->idle);
	}
	if (o->paused)
		wr_notify_fire(&o->options.wake);
	o->paused = false;
	pthread_mutex_unlock(&o->mutex);
}

/* ---- on the task's thread ---- */

struct wr_outlet *wr_outlet_new(const struct wr_outlet_options *options)
{
	struct wr_outlet *o = wr_zalloc(&outlet_mem, sizeof *o);

	if (!o)
		return NULL;
	o->stop_fd = options->dial ? eventfd(0, EFD_CLOEXEC) : -1;
	if (options->dial && o->stop_fd < 0)
		wr_error_set(WR_EFATAL, "cannot make an event descriptor: %s", strerror(errno));
	else
		o->queue = wr_ioqueue_new(options->io);
	if (!o->queue) {
		if (o->stop_fd >= 0)
			close(o->stop_fd);
		wr_free(&outlet_mem, o);
		return NULL;
	}
	o->options = *options;
	o->at_once = options->pipe && options->shared && wr_is_pipe(options->fd);
	o->job = (struct wr_iojob){.work = outlet_work, .done = outlet_done};
	pthread_mutex_init(&o->mutex, NULL);
	pthread_cond_init(&o->idle, NULL);
	for (uint32_t i = 0; i <= BLOCKS_MAX; i++)
		o->spare[o->spare_count++] = &o->blocks[i];
	return o;
}

void wr_outlet_free(struct wr_outlet *o)
{
	if (!o)
		return;
	pthread_mutex_lock(&o->mutex);
	o->waiting_count = 0;
	o->draining = false;
	if (o->stop_fd >= 0)
		eventfd_write(o->stop_fd, 1);
	while (o->running)
		pthread_cond_wait(&o->idle, &o->mutex);
	pthread_mutex_unlock(&o->mutex);
	wr_ioqueue_free(o->queue);
	if (o->options.close && o->options.fd >= 0)
		close(o->options.fd);
	if (o->stop_fd >= 0)
		close(o->stop_fd);
	for (uint32_t i = 0; i <= BLOCKS_MAX; i++)
		wr_bytes_deinit(&o->blocks[i]);
	pthread_cond_destroy(&o->idle);
	pthread_mutex_destroy(&o->mutex);
	wr_free(&outlet_mem, o);
}

static int answer(const struct wr_outlet *o, int state)
{
	return state < 0 ? wr_error_set(state, "%s", o->text) : state;
}

int wr_outlet_block(struct wr_outlet *o, struct wr_bytes **block)
{
	int state;

	if (!o->block) {
		pthread_mutex_lock(&o->mutex);
		if (o->spare_count > 0)
			o->block = o->spare[--o->spare_count];
		o->paused = !o->block;
		state = o->state;
		pthread_mutex_unlock(&o->mutex);
		if (state != WR_OK)
			return answer(o, state);
	}
	*block = o->block;
	return o->block ? WR_OK : WR_AGAIN;
}

/* Under the mutex. */
static void start_job(struct wr_outlet *o)
{
	if (!o->running)
		wr_ioqueue_post(o->queue, &o->job);
	o->running = true;
}

/* Little, and nothing on its way that it must wait for. */
static bool comes_at_a_low_pace(struct wr_outlet *o)
{
	uint64_t now = wr_clock_ns(o->options.clock), before = o->flushed_ns;
	bool running;

	o->flushed_ns = now;
	if (o->block->len > AT_ONCE_MAX || now - before < AT_ONCE_NS)
		return false;
	pthread_mutex_lock(&o->mutex);
	running = o->running;
	pthread_mutex_unlock(&o->mutex);
	return !running;
}

/* So rows are with their reader sooner, and no thread has to get a core first. False: some of the block is
 * left, here, or, when a part of it is written, where the next to write finds it. */
static bool write_at_once(struct wr_outlet *o)
{
	struct wr_outlet_shared *shared = o->options.shared;
	struct wr_bytes *b = o->block;
	ssize_t n = 0;
	bool whole;

	if (pthread_mutex_trylock(&shared->lock))
		return false;
	if (shared->rest.len == 0) {
		n = wr_pipe_write(o->options.fd, b->data, b->len);
		o->at_once = n >= 0 || errno == EAGAIN;
	}
	whole = n == (ssize_t)b->len;
	if (whole) {
		b->len = 0;
	} else if (n > 0) {
		memmove(b->data, b->data + n, b->len - (size_t)n);
		b->len -= (size_t)n;
		shared->rest = *b; /* which has no content: who wrote the last one freed it */
		*b = (struct wr_bytes)WR_BYTES_EMPTY;
	}
	pthread_mutex_unlock(&shared->lock);
	return whole;
}

int wr_outlet_flush(struct wr_outlet *o)
{
	int state;

	if (!o->block || o->block->len == 0)
		return WR_OK;
	if (wr_bytes_status(o->block) != WR_OK)
		return WR_EFATAL;
	if (o->at_once && comes_at_a_low_pace(o) && write_at_once(o))
		return WR_OK;
	pthread_mutex_lock(&o->mutex);
	WR_ASSERT(o->waiting_count <= BLOCKS_MAX);
	o->waiting[o->waiting_count++] = o->block;
	o->block = NULL;
	o->drained = false;
	start_job(o);
	state = o->state;
	pthread_mutex_unlock(&o->mutex);
	return answer(o, state);
}

int wr_outlet_added(struct wr_outlet *o)
{
	return o->block && o->block->len >= BLOCK_SIZE ? wr_outlet_flush(o) : WR_OK;
}

int wr_outlet_drain(struct wr_outlet *o)
{
	int rc = wr_outlet_flush(o);
	bool drained;

	if (rc != WR_OK)
		return rc;
	pthread_mutex_lock(&o->mutex);
	drained = o->drained;
	if (drained) {
		o->draining = o->drained = false;
	} else if (!o->draining) {
		o->draining = true;
		start_job(o);
	}
	o->paused = !drained;
	rc = o->state;
	pthread_mutex_unlock(&o->mutex);
	if (rc != WR_OK)
		return answer(o, rc);
	return drained ? WR_OK : WR_AGAIN;
}
