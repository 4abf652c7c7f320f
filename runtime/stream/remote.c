/* SPDX-License-Identifier: Apache-2.0 */
/* remote: see remote.h. */
#include "stream/remote.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"

struct wr_remote {
	pthread_mutex_t lock;
	struct wr_remote_view view;
};

static struct wr_mem mem = WR_MEM_INIT("task.remote");

struct wr_remote *wr_remote_attach(_Atomic(struct wr_remote *) *place)
{
	struct wr_remote *r = wr_zalloc(&mem, sizeof *r);

	if (!r)
		return NULL;
	pthread_mutex_init(&r->lock, NULL);
	atomic_store(place, r);
	return r;
}

void wr_remote_detach(_Atomic(struct wr_remote *) *place)
{
	struct wr_remote *r = atomic_exchange(place, NULL);

	if (!r)
		return;
	pthread_mutex_destroy(&r->lock);
	wr_free(&mem, r);
}

void wr_remote_say_splits(struct wr_remote *r, const struct wr_remote_view *v)
{
	pthread_mutex_lock(&r->lock);
	r->view.splits = v->splits;
	r->view.held = v->held;
	r->view.lag = v->lag;
	r->view.lag_max = v->lag_max;
	memcpy(r->view.lag_of, v->lag_of, sizeof r->view.lag_of);
	pthread_mutex_unlock(&r->lock);
}

void wr_remote_say_error(struct wr_remote *r, const char *words)
{
	pthread_mutex_lock(&r->lock);
	r->view.errors++;
	snprintf(r->view.error, sizeof r->view.error, "%s", words);
	pthread_mutex_unlock(&r->lock);
}

void wr_remote_say_down(struct wr_remote *r, uint64_t since_ns)
{
	pthread_mutex_lock(&r->lock);
	r->view.down_ns = since_ns;
	pthread_mutex_unlock(&r->lock);
}

void wr_remote_look(struct wr_remote *r, struct wr_remote_view *out)
{
	pthread_mutex_lock(&r->lock);
	*out = r->view;
	pthread_mutex_unlock(&r->lock);
}

bool wr_remote_of(const _Atomic(struct wr_remote *) *place, struct wr_remote_view *out)
{
	struct wr_remote *r = atomic_load((_Atomic(struct wr_remote *) *)place);

	if (r)
		wr_remote_look(r, out);
	return r != NULL;
}

static void next_text(struct wr_bytes *out, size_t begin)
{
	if (out->len > begin)
		wr_bytes_printf(out, "; ");
}

void wr_remote_text(const struct wr_remote_view *v, uint64_t now_ns, struct wr_bytes *out)
{
	size_t begin = out->len;

	if (v->down_ns) {
		wr_bytes_printf(out, "no broker for %.1f s", (double)(now_ns - v->down_ns) / 1e9);
		if (*v->error)
			wr_bytes_printf(out, " (%s)", v->error);
	}
	if (v->lag) {
		next_text(out, begin);
		wr_bytes_printf(out, "%" PRIu64 " behind, %" PRIu64 " of them in %s", v->lag, v->lag_max,
				v->lag_of);
	}
	if (v->held) {
		next_text(out, begin);
		wr_bytes_printf(out, "%u of %u splits held", v->held, v->splits);
	}
	if (v->errors && !v->down_ns) {
		next_text(out, begin);
		wr_bytes_printf(out, "%" PRIu64 " connection error%s", v->errors, v->errors == 1 ? "" : "s");
	}
}

void wr_remote_add(struct wr_remote_view *sum, const struct wr_remote_view *v)
{
	bool is_worse = v->down_ns && (!sum->down_ns || v->down_ns < sum->down_ns);

	sum->splits += v->splits;
	sum->held += v->held;
	sum->lag += v->lag;
	if (v->lag_max > sum->lag_max) {
		sum->lag_max = v->lag_max;
		memcpy(sum->lag_of, v->lag_of, sizeof sum->lag_of);
	}
	sum->errors += v->errors;
	if (*v->error && (is_worse || !*sum->error))
		memcpy(sum->error, v->error, sizeof sum->error);
	if (is_worse)
		sum->down_ns = v->down_ns;
}
