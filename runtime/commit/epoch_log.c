/* SPDX-License-Identifier: Apache-2.0 */
/* epoch_log: see epoch_log.h. Two locks: `mutex`, of the list of blocks, is held for a few instructions;
 * `writing`, of the blob, while blocks are written, so that who seals finds either an idle writer or waits
 * for one that is at work, never for a job in a queue. */
#include "commit/epoch_log.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"
#include "checkpoint/history.h"
#include "record/value.h"

enum {
	BLOCK_BYTES = 256 << 10,
	BLOCKS_MAX = 16, /* that wait to be written */
	SPARE_MAX = 4,	 /* kept, so that their memory is not asked for again and again */
};

struct block {
	struct block *next;
	uint64_t after;
	uint64_t number; /* of the last of its epoch, else 0 */
	uint64_t count;	 /* of the epoch's rows, in the last */
	struct wr_bytes shapes, rows;
};

struct wr_epoch_log {
	struct wr_iojob job; /* first */
	struct wr_epoch_log_options o;
	struct wr_ioqueue *queue;
	/* the task's */
	struct block *open;
	uint64_t rows, bytes; /* of the open epoch */
	struct wr_bytes said; /* by shape: a byte that is 1 once the open epoch has said it */
	/* under `mutex` */
	pthread_mutex_t mutex;
	pthread_cond_t idle;
	struct block *first, **end, *spare;
	uint32_t waiting, spares;
	bool running, paused;
	/* under `writing` */
	pthread_mutex_t writing;
	struct wr_blob *blob;
	struct wr_block_writer writer;
	char text[512];	  /* of the failure, set before `code` */
	_Atomic int code; /* WR_OK, or of the first failure */
};

static struct wr_mem mem = WR_MEM_INIT("commit.log");

/* ---- writing: under `writing` ---- */

static int put_value(struct wr_epoch_log *l, struct wr_bytes *value)
{
	int rc = wr_bytes_status(value);

	if (rc == WR_OK)
		rc = wr_block_put(&l->writer, &(struct wr_block){WR_BLOCK_OPERATOR, 0, 0, value->data,
								 (uint32_t)value->len});
	wr_bytes_deinit(value);
	return rc;
}

static int put_head(struct wr_epoch_log *l, uint64_t after)
{
	struct wr_bytes head = WR_BYTES_EMPTY;

	wr_value_put_record(&head, 4);
	wr_value_put_name(&head, "after");
	wr_value_put_i64(&head, (int64_t)after);
	wr_value_put_name(&head, "lineage");
	wr_value_put_i64(&head, (int64_t)l->o.lineage);
	wr_value_put_name(&head, "log");
	wr_value_put_i64(&head, l->o.log);
	wr_value_put_name(&head, "uid");
	wr_value_put_str(&head, l->o.uid);
	return put_value(l, &head);
}

static int begin_blob(struct wr_epoch_log *l, uint64_t after)
{
	char id[WR_HISTORY_ID];

	wr_history_log_id(l->o.uid, l->o.log, after, id);
	l->blob = l->o.blobs->ops->begin(l->o.blobs, id);
	if (!l->blob)
		return wr_error_code();
	wr_block_writer_init(&l->writer, l->blob);
	l->writer.plain = !l->o.packs;
	return put_head(l, after);
}

static int put_tail(struct wr_epoch_log *l, const struct block *b)
{
	struct wr_bytes tail = WR_BYTES_EMPTY;
	int rc;

	wr_value_put_record(&tail, 2);
	wr_value_put_name(&tail, "number");
	wr_value_put_i64(&tail, (int64_t)b->number);
	wr_value_put_name(&tail, "rows");
	wr_value_put_i64(&tail, (int64_t)b->count);
	rc = put_value(l, &tail);
	return rc == WR_OK ? wr_block_finish(&l->writer) : rc;
}

static int end_blob(struct wr_epoch_log *l, const struct block *b)
{
	struct wr_blob *blob = l->blob;
	int rc = put_tail(l, b);

	wr_block_writer_deinit(&l->writer);
	l->blob = NULL;
	WR_CRASH_STEP("log.cut");
	if (rc == WR_OK)
		return blob->ops->commit(blob);
	blob->ops->discard(blob);
	return rc;
}

static int put(struct wr_epoch_log *l, enum wr_block_kind kind, const struct wr_bytes *b)
{
	if (!b->len)
		return WR_OK;
	return wr_block_put(&l->writer, &(struct wr_block){kind, 0, 0, b->data, (uint32_t)b->len});
}

static void discard_blob(struct wr_epoch_log *l)
{
	if (!l->blob)
		return;
	wr_block_writer_deinit(&l->writer);
	l->blob->ops->discard(l->blob);
	l->blob = NULL;
}

static int write_block(struct wr_epoch_log *l, const struct block *b)
{
	int rc = l->blob ? WR_OK : begin_blob(l, b->after);

	if (rc == WR_OK)
		rc = put(l, WR_BLOCK_SHAPES, &b->shapes);
	if (rc == WR_OK)
		rc = put(l, WR_BLOCK_ROWS, &b->rows);
	WR_CRASH_STEP("log.append");
	return rc == WR_OK && b->number ? end_blob(l, b) : rc;
}

static void block_free(struct block *b)
{
	if (!b)
		return;
	wr_bytes_deinit(&b->shapes);
	wr_bytes_deinit(&b->rows);
	wr_free(&mem, b);
}

static struct block *take_first(struct wr_epoch_log *l)
{
	struct block *b;

	pthread_mutex_lock(&l->mutex);
	b = l->first;
	if (b) {
		l->first = b->next;
		if (!l->first)
			l->end = &l->first;
	}
	pthread_mutex_unlock(&l->mutex);
	return b;
}

static void written(struct wr_epoch_log *l, struct block *b)
{
	bool kept;

	pthread_mutex_lock(&l->mutex);
	kept = l->spares < SPARE_MAX && b->rows.len;
	if (kept) {
		b->next = l->spare;
		l->spare = b;
		l->spares++;
	}
	l->waiting--;
	if (l->paused)
		wr_notify_fire(&l->o.wake);
	l->paused = false;
	pthread_mutex_unlock(&l->mutex);
	if (!kept)
		block_free(b);
}

static void write_all(struct wr_epoch_log *l)
{
	struct block *b;

	pthread_mutex_lock(&l->writing);
	while ((b = take_first(l))) {
		int rc = atomic_load(&l->code);

		if (rc == WR_OK && (rc = write_block(l, b)) != WR_OK) {
			snprintf(l->text, sizeof l->text, "%s", wr_error_text());
			atomic_store(&l->code, rc);
		}
		written(l, b);
	}
	pthread_mutex_unlock(&l->writing);
}

static int status(const struct wr_epoch_log *l)
{
	int rc = atomic_load(&l->code);

	return rc == WR_OK ? rc : wr_error_set(rc, "%s", l->text);
}

int wr_epoch_log_seal(struct wr_epoch_log *l)
{
	write_all(l);
	WR_CRASH_STEP("log.sealed");
	return status(l);
}

static void log_work(struct wr_iojob *job)
{
	write_all((struct wr_epoch_log *)job);
}

static void log_done(struct wr_iojob *job)
{
	struct wr_epoch_log *l = (struct wr_epoch_log *)job;

	pthread_mutex_lock(&l->mutex);
	if (l->first) {
		wr_ioqueue_post(l->queue, &l->job);
	} else {
		l->running = false;
		pthread_cond_signal(&l->idle);
	}
	pthread_mutex_unlock(&l->mutex);
}

/* ---- appending: the task's thread ---- */

static void push(struct wr_epoch_log *l)
{
	pthread_mutex_lock(&l->mutex);
	*l->end = l->open;
	l->end = &l->open->next;
	l->waiting++;
	l->open = NULL;
	if (!l->running)
		wr_ioqueue_post(l->queue, &l->job);
	l->running = true;
	pthread_mutex_unlock(&l->mutex);
}

static bool has_room(struct wr_epoch_log *l)
{
	bool room;

	pthread_mutex_lock(&l->mutex);
	room = l->waiting < BLOCKS_MAX;
	l->paused = !room;
	pthread_mutex_unlock(&l->mutex);
	return room;
}

static struct block *take_spare(struct wr_epoch_log *l)
{
	struct block *b;

	pthread_mutex_lock(&l->mutex);
	b = l->spare;
	if (b) {
		l->spare = b->next;
		l->spares--;
	}
	pthread_mutex_unlock(&l->mutex);
	return b;
}

static int open_block(struct wr_epoch_log *l, uint64_t after)
{
	struct block *b = l->open;

	if (b)
		return WR_OK;
	b = take_spare(l);
	if (!b)
		b = wr_zalloc(&mem, sizeof *b);
	if (!b)
		return WR_EFATAL;
	b->shapes.len = b->rows.len = 0;
	*b = (struct block){.after = after, .shapes = b->shapes, .rows = b->rows};
	l->open = b;
	return WR_OK;
}

/* Shapes are said in front of the first row of the epoch that has them. */
static void say_shape(struct wr_epoch_log *l, uint32_t shape)
{
	if (shape < l->said.len && l->said.data[shape])
		return;
	while (l->said.len <= shape && !l->said.failed)
		wr_bytes_put_u8(&l->said, 0);
	if (l->said.failed)
		return;
	l->said.data[shape] = 1;
	wr_dict_put(&l->open->shapes, shape);
}

int wr_epoch_log_add(struct wr_epoch_log *l, uint64_t after, const uint8_t *rows, const uint8_t *end)
{
	uint32_t shape = 0;
	int rc = status(l);

	if (rc != WR_OK)
		return rc;
	if (!has_room(l))
		return WR_AGAIN;
	rc = open_block(l, after);
	if (rc != WR_OK)
		return rc;
	for (const uint8_t *p = rows; p < end; p += ((const struct wr_elem *)p)->len) {
		if (wr_elem_shape((const struct wr_elem *)p) != shape) {
			shape = wr_elem_shape((const struct wr_elem *)p);
			say_shape(l, shape);
		}
		l->rows++;
	}
	wr_bytes_put(&l->open->rows, rows, (size_t)(end - rows));
	l->bytes += (uint64_t)(end - rows);
	if (l->open->rows.failed || l->open->shapes.failed || l->said.failed)
		return wr_error_nomem((size_t)(end - rows), "a log of rows");
	if (l->open->rows.len >= BLOCK_BYTES)
		push(l);
	return WR_OK;
}

uint64_t wr_epoch_log_rows(const struct wr_epoch_log *l)
{
	return l->rows;
}

uint64_t wr_epoch_log_bytes(const struct wr_epoch_log *l)
{
	return l->bytes;
}

int wr_epoch_log_cut(struct wr_epoch_log *l, uint64_t number, uint64_t *rows, uint64_t *bytes)
{
	int rc = status(l);

	*rows = l->rows;
	*bytes = l->bytes;
	l->rows = l->bytes = 0;
	l->said.len = 0;
	if (rc != WR_OK || !*rows)
		return rc;
	rc = open_block(l, 0); /* its blob is open already, if all rows have been handed over */
	if (rc != WR_OK)
		return rc;
	l->open->number = number;
	l->open->count = *rows;
	push(l);
	return WR_OK;
}

/* ---- life ---- */

struct wr_epoch_log *wr_epoch_log_new(const struct wr_epoch_log_options *o)
{
	struct wr_epoch_log *l = wr_zalloc(&mem, sizeof *l);

	if (!l)
		return NULL;
	l->queue = wr_ioqueue_new(o->io);
	if (!l->queue) {
		wr_free(&mem, l);
		return NULL;
	}
	l->o = *o;
	l->job = (struct wr_iojob){.work = log_work, .done = log_done};
	l->end = &l->first;
	pthread_mutex_init(&l->mutex, NULL);
	pthread_mutex_init(&l->writing, NULL);
	pthread_cond_init(&l->idle, NULL);
	return l;
}

void wr_epoch_log_free(struct wr_epoch_log *l)
{
	struct block *b;

	if (!l)
		return;
	while ((b = take_first(l)))
		block_free(b);
	pthread_mutex_lock(&l->mutex);
	while (l->running)
		pthread_cond_wait(&l->idle, &l->mutex);
	pthread_mutex_unlock(&l->mutex);
	while ((b = take_spare(l)))
		block_free(b);
	wr_ioqueue_free(l->queue);
	block_free(l->open);
	discard_blob(l);
	wr_bytes_deinit(&l->said);
	pthread_mutex_destroy(&l->mutex);
	pthread_mutex_destroy(&l->writing);
	pthread_cond_destroy(&l->idle);
	wr_free(&mem, l);
}

/* ---- reading ---- */

static int another(void)
{
	return wr_error_set(WR_EUSER, "it is the log of something else");
}

static int parse(struct wr_arena *arena, const struct wr_block *block, struct wr_value *out)
{
	struct wr_reader in = wr_reader_of(block->payload, block->len);
	int rc = block->kind == WR_BLOCK_OPERATOR ? wr_value_parse(&in, arena, out) : another();

	return rc == WR_OK && out->tag != WR_V_RECORD ? another() : rc;
}

/* Who wrote the blob is not known yet: a field may be anything. */
static const char *text_of(const struct wr_value *v, const char *name)
{
	const struct wr_value *field = wr_value_get(v, name);

	return field && field->tag == WR_V_STR ? field->str.p : "";
}

static int64_t int_of(const struct wr_value *v, const char *name)
{
	const struct wr_value *field = wr_value_get(v, name);

	return field && field->tag == WR_V_I64 ? field->i64 : -1;
}

static bool is_of(const struct wr_value *head, const char *uid, uint64_t lineage, uint32_t log)
{
	return !strcmp(text_of(head, "uid"), uid) && int_of(head, "lineage") == (int64_t)lineage &&
	       int_of(head, "log") == (int64_t)log;
}

static int check_head(struct wr_epoch_rows *r, const char *uid)
{
	const struct wr_epoch *e = &r->epoch;
	struct wr_block block;
	struct wr_value head;
	struct wr_arena arena;
	int rc = wr_block_next(&r->in, &block);

	if (rc != WR_OK)
		return rc < 0 ? rc : another();
	wr_arena_init(&arena, &mem);
	rc = parse(&arena, &block, &head);
	if (rc == WR_OK &&
	    (!is_of(&head, uid, e->lineage, e->log) || int_of(&head, "after") != (int64_t)e->after))
		rc = another();
	wr_arena_deinit(&arena);
	return rc;
}

static int check_tail(struct wr_epoch_rows *r, const struct wr_block *block)
{
	struct wr_value tail;
	struct wr_arena arena;
	int64_t number, rows;
	int rc;

	wr_arena_init(&arena, &mem);
	rc = parse(&arena, block, &tail);
	number = rc == WR_OK ? int_of(&tail, "number") : -1;
	rows = rc == WR_OK ? int_of(&tail, "rows") : -1;
	wr_arena_deinit(&arena);
	if (rc != WR_OK)
		return rc;
	if (number != (int64_t)r->epoch.number || rows != (int64_t)r->epoch.rows || rows != (int64_t)r->count)
		return wr_error_set(WR_EUSER,
				    "it has %" PRIu64 " rows and says %" PRIi64 " of epoch %" PRIi64
				    ", not %" PRIu64 " of epoch %" PRIu64,
				    r->count, rows, number, r->epoch.rows, r->epoch.number);
	return WR_OK;
}

static int in_log(const struct wr_epoch_rows *r, int rc)
{
	return wr_error_wrap(rc, "%s", r->id);
}

int wr_epoch_rows_open(struct wr_epoch_rows *r, struct wr_blobs *blobs, const char *uid,
		       const struct wr_epoch *e)
{
	int rc;

	*r = (struct wr_epoch_rows){.blobs = blobs, .epoch = *e, .rows = WR_BYTES_EMPTY, .at_home = true};
	wr_dict_init(&r->dict);
	wr_history_log_id(uid, e->log, e->after, r->id);
	rc = blobs->ops->open(blobs, r->id, &r->view);
	wr_block_reader_init(&r->in, r->view.data, r->view.len);
	if (rc == WR_END)
		rc = wr_error_set(WR_EUSER, "the log is gone");
	if (rc == WR_OK)
		rc = check_head(r, uid);
	return rc == WR_OK ? rc : in_log(r, rc);
}

/* May the rows of this block be read where they lie? Who reads them goes a little beyond, and they are of the
 * shapes of this process: it wrote them itself, or has met the same shapes in the same order. */
static bool may_stay(const struct wr_epoch_rows *r, const struct wr_block *block)
{
	const uint8_t *view_end = r->view.data + r->view.len;

	return r->at_home && block->payload != r->in.plain.data &&
	       (size_t)(view_end - block->payload) >= (size_t)block->len + WR_ROW_SLACK &&
	       (uintptr_t)block->payload % WR_ELEM_ALIGN == 0;
}

static int check_rows(struct wr_epoch_rows *r, const uint8_t *p, const uint8_t *end)
{
	int rc = WR_OK;

	for (; p < end && rc == WR_OK; p += ((const struct wr_elem *)p)->len) {
		rc = wr_elem_verify(p, (size_t)(end - p), &r->dict);
		if (rc == WR_OK && wr_elem_is_event((const struct wr_elem *)p))
			rc = wr_error_set(WR_EUSER, "an event stands among its rows");
		if (rc != WR_OK)
			return rc;
		r->count++;
	}
	return rc;
}

/* A copy, in which each row has the shape that it has here. */
static int move_rows(struct wr_epoch_rows *r, const struct wr_block *block)
{
	int rc;

	r->rows.len = 0;
	if (!wr_bytes_room(&r->rows, block->len + WR_ROW_SLACK))
		return wr_bytes_status(&r->rows);
	wr_bytes_put(&r->rows, block->payload, block->len);
	rc = check_rows(r, r->rows.data, r->rows.data + r->rows.len);
	if (rc != WR_OK)
		return rc;
	for (uint8_t *p = r->rows.data, *end = p + r->rows.len; p < end; p += ((struct wr_elem *)p)->len)
		wr_dict_translate(&r->dict, (struct wr_elem *)p);
	return WR_OK;
}

static int take_rows(struct wr_epoch_rows *r, const struct wr_block *block, const uint8_t **rows,
		     const uint8_t **end)
{
	int rc;

	r->lasting = may_stay(r, block);
	rc = r->lasting ? check_rows(r, block->payload, block->payload + block->len) : move_rows(r, block);
	*rows = r->lasting ? block->payload : r->rows.data;
	*end = *rows + block->len;
	return rc;
}

static int take_shapes(struct wr_epoch_rows *r, const struct wr_block *block)
{
	struct wr_reader in = wr_reader_of(block->payload, block->len);
	int rc = WR_OK;

	while (in.p < in.end && rc == WR_OK)
		rc = wr_dict_read(&r->dict, &in);
	for (uint32_t id = 0; id < r->dict.size; id++)
		r->at_home &= r->dict.local[id] == 0 || r->dict.local[id] == id;
	return rc;
}

/* WR_OK: *rows, if the block has some. */
static int take_block(struct wr_epoch_rows *r, const struct wr_block *block, const uint8_t **rows,
		      const uint8_t **end)
{
	if (r->whole)
		return another();
	switch (block->kind) {
	case WR_BLOCK_SHAPES:
		return take_shapes(r, block);
	case WR_BLOCK_ROWS:
		return take_rows(r, block, rows, end);
	default:
		r->whole = true;
		return check_tail(r, block);
	}
}

int wr_epoch_rows_next(struct wr_epoch_rows *r, const uint8_t **rows, const uint8_t **end)
{
	struct wr_block block;
	int rc;

	*rows = *end = NULL;
	do {
		rc = wr_block_next(&r->in, &block);
		if (rc == WR_OK)
			rc = take_block(r, &block, rows, end);
	} while (rc == WR_OK && !*rows);
	if (rc == WR_END && !r->whole)
		rc = another();
	return rc < 0 ? in_log(r, rc) : rc;
}

void wr_epoch_rows_close(struct wr_epoch_rows *r)
{
	wr_block_reader_deinit(&r->in);
	wr_dict_deinit(&r->dict);
	wr_bytes_deinit(&r->rows);
	r->blobs->ops->close(r->blobs, &r->view);
}

int wr_epoch_log_copy(struct wr_blobs *from, struct wr_blobs *to, const char *uid, const struct wr_epoch *e)
{
	struct wr_epoch_rows r;
	const uint8_t *rows, *end;
	struct wr_blob *blob = NULL;
	int rc = wr_epoch_rows_open(&r, from, uid, e);

	while (rc == WR_OK)
		rc = wr_epoch_rows_next(&r, &rows, &end);
	if (rc == WR_END) {
		blob = to->ops->begin(to, r.id);
		rc = blob ? blob->ops->append(blob, r.view.data, r.view.len) : wr_error_code();
	}
	if (blob)
		rc = rc == WR_OK ? blob->ops->commit(blob) : (blob->ops->discard(blob), rc);
	wr_epoch_rows_close(&r);
	return rc;
}

/* ---- counting ---- */

struct counting {
	struct wr_blobs *blobs;
	const char *prefix, *uid; /* of the names, in their folder */
	uint64_t lineage, first, last, rows;
	uint32_t log;
	bool found; /* the last */
};

/* Rows of a whole log whose number is one of those asked for. */
static int count_view(struct counting *c, const struct wr_blob_view *view)
{
	struct wr_block_reader in;
	struct wr_block block;
	struct wr_value head = {.tag = WR_V_NIL}, tail = {.tag = WR_V_NIL};
	struct wr_arena arena;
	int rc;

	wr_arena_init(&arena, &mem);
	wr_block_reader_init(&in, view->data, view->len);
	while ((rc = wr_block_next(&in, &block)) == WR_OK)
		if (block.kind == WR_BLOCK_OPERATOR &&
		    (rc = parse(&arena, &block, head.tag == WR_V_NIL ? &head : &tail)) != WR_OK)
			break;
	if (rc == WR_END && tail.tag == WR_V_RECORD && is_of(&head, c->uid, c->lineage, c->log)) {
		uint64_t number = (uint64_t)int_of(&tail, "number");
		int64_t rows = int_of(&tail, "rows");

		if (number > c->first && number <= c->last && rows > 0)
			c->rows += (uint64_t)rows;
		c->found |= number == c->last;
	}
	wr_block_reader_deinit(&in);
	wr_arena_deinit(&arena);
	return WR_OK; /* one that is not whole was never committed */
}

static int count_log(void *arg, const char *name)
{
	struct counting *c = arg;
	struct wr_blob_view view;
	char id[WR_HISTORY_ID + 256];
	int rc;

	if (strncmp(name, c->prefix, strlen(c->prefix)))
		return WR_OK;
	snprintf(id, sizeof id, WR_HISTORY_LOGS "/%.255s", name);
	rc = c->blobs->ops->open(c->blobs, id, &view);
	if (rc != WR_OK)
		return rc < 0 ? rc : WR_OK;
	rc = count_view(c, &view);
	c->blobs->ops->close(c->blobs, &view);
	return rc;
}

int wr_epoch_log_count(struct wr_blobs *blobs, const char *uid, uint64_t lineage, uint32_t log,
		       uint64_t first, uint64_t last, uint64_t *rows)
{
	struct counting c = {
	    .blobs = blobs, .uid = uid, .lineage = lineage, .first = first, .last = last, .log = log};
	char id[WR_HISTORY_ID];
	int rc;

	wr_history_log_id(uid, log, 0, id);
	id[strlen(id) - 1] = 0;
	c.prefix = strchr(id, '/') + 1;
	rc = blobs->ops->list(blobs, WR_HISTORY_LOGS, count_log, &c);
	*rows = c.rows;
	if (rc == WR_OK && !c.found)
		rc = wr_error_set(WR_EUSER, "the log of epoch %" PRIu64 " is gone", last);
	return rc;
}
