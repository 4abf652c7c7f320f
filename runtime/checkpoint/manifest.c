/* SPDX-License-Identifier: Apache-2.0 */
/* manifest: to bytes and back. */
#include "checkpoint/manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "checkpoint/block.h"

/* ---- to bytes: fields of a record in the order of their names ---- */

static void put_u64(struct wr_bytes *out, const char *name, uint64_t v)
{
	wr_value_put_name(out, name);
	wr_value_put_i64(out, (int64_t)v);
}

static void put_str(struct wr_bytes *out, const char *name, const char *v)
{
	wr_value_put_name(out, name);
	wr_value_put_str(out, v);
}

static void put_states(struct wr_bytes *out, const char *name, const struct wr_manifest_state *s, uint32_t n)
{
	wr_value_put_name(out, name);
	wr_value_put_list(out, n);
	for (uint32_t i = 0; i < n; i++) {
		wr_value_put_record(out, 2u + (s[i].layout != NULL) + (s[i].ttl_ms > 0) + (s[i].version > 0));
		put_u64(out, "kind", s[i].kind);
		if (s[i].layout)
			put_str(out, "layout", s[i].layout);
		put_str(out, "name", s[i].name);
		if (s[i].ttl_ms)
			put_u64(out, "ttl", (uint64_t)s[i].ttl_ms);
		if (s[i].version)
			put_u64(out, "version", s[i].version);
	}
}

static void put_stage(struct wr_bytes *out, const struct wr_manifest_stage *s)
{
	wr_value_put_record(out, 4);
	put_states(out, "broadcast", s->broadcast, s->broadcast_count);
	put_str(out, "name", s->name);
	put_states(out, "states", s->states, s->state_count);
	put_str(out, "uid", s->uid);
}

static void put_task(struct wr_bytes *out, const struct wr_manifest_task *t)
{
	wr_value_put_record(out, 2 + t->overtook);
	wr_value_put_name(out, "blob");
	if (t->blob)
		wr_value_put_str(out, t->blob);
	else
		wr_value_put_bool(out, false);
	put_u64(out, "bytes", t->bytes);
	if (t->overtook)
		put_u64(out, "in_flight", t->in_flight);
}

static void put_vertex(struct wr_bytes *out, const struct wr_manifest_vertex *v)
{
	wr_value_put_record(out, 5);
	put_u64(out, "max_parallelism", v->max_parallelism);
	put_str(out, "name", v->name);
	put_u64(out, "parallelism", v->parallelism);
	wr_value_put_name(out, "stages");
	wr_value_put_list(out, v->stage_count);
	for (uint32_t i = 0; i < v->stage_count; i++)
		put_stage(out, &v->stages[i]);
	wr_value_put_name(out, "tasks");
	wr_value_put_list(out, v->parallelism);
	for (uint32_t i = 0; i < v->parallelism; i++)
		put_task(out, &v->tasks[i]);
}

int wr_manifest_put(const struct wr_manifest *m, struct wr_bytes *out)
{
	bool origin = m->origin && *m->origin;

	wr_value_put_record(out, 9 + origin);
	put_u64(out, "checkpoint", m->checkpoint);
	wr_value_put_name(out, "finished");
	wr_value_put_bool(out, m->finished);
	put_str(out, "job", m->job);
	put_u64(out, "lineage", m->lineage);
	if (origin)
		put_str(out, "origin", m->origin);
	put_str(out, "script", m->script);
	wr_value_put_name(out, "sources");
	wr_value_put_list(out, m->source_count);
	for (uint32_t i = 0; i < m->source_count; i++) {
		wr_value_put_record(out, 2);
		wr_value_put_name(out, "state");
		wr_value_put(out, m->sources[i].state);
		put_str(out, "uid", m->sources[i].uid);
	}
	put_u64(out, "time", (uint64_t)m->time_ms);
	put_u64(out, "version", WR_MANIFEST_VERSION);
	wr_value_put_name(out, "vertices");
	wr_value_put_list(out, m->vertex_count);
	for (uint32_t i = 0; i < m->vertex_count; i++)
		put_vertex(out, &m->vertices[i]);
	return wr_bytes_status(out);
}

/* A blob in memory, so that a manifest has the form of every other blob. */
struct memory_blob {
	struct wr_blob base;
	struct wr_bytes *out;
};

static int memory_append(struct wr_blob *blob, const void *p, size_t len)
{
	struct wr_bytes *out = ((struct memory_blob *)blob)->out;

	wr_bytes_put(out, p, len);
	return wr_bytes_status(out);
}

int wr_manifest_encode(const struct wr_manifest *m, struct wr_bytes *out)
{
	static const struct wr_blobs_ops ops = {.append = memory_append};
	struct memory_blob blob = {{&ops, 0}, out};
	struct wr_bytes value = WR_BYTES_EMPTY;
	struct wr_block_writer w;
	int rc;

	wr_block_writer_init(&w, &blob.base);
	rc = wr_manifest_put(m, &value);
	if (rc == WR_OK)
		rc = wr_block_put(
		    &w, &(struct wr_block){WR_BLOCK_MANIFEST, 0, 0, value.data, (uint32_t)value.len});
	if (rc == WR_OK)
		rc = wr_block_finish(&w);
	wr_block_writer_deinit(&w);
	wr_bytes_deinit(&value);
	return rc;
}

/* ---- back ----
 * The bytes carry a checksum, but may come from another program: every field is looked at. */

struct decoding {
	struct wr_arena *arena;
	int rc;
};

static void wrong(struct decoding *d, const char *what)
{
	if (d->rc == WR_OK)
		d->rc = wr_error_set(WR_EUSER, "the manifest has no good '%s'", what);
}

static void *zeroed(struct decoding *d, uint32_t count, size_t size)
{
	void *p = wr_arena_alloc(d->arena, (count + 1) * size);

	if (!p)
		d->rc = WR_EFATAL;
	return p ? memset(p, 0, (count + 1) * size) : NULL;
}

static const struct wr_value *field(struct decoding *d, const struct wr_value *v, const char *name,
				    enum wr_tag tag)
{
	const struct wr_value *f = wr_value_get(v, name);

	if (f && f->tag == tag)
		return f;
	wrong(d, name);
	return NULL;
}

static const char *get_str(struct decoding *d, const struct wr_value *v, const char *name)
{
	const struct wr_value *f = field(d, v, name, WR_V_STR);

	if (f && memchr(f->str.p, 0, f->str.len))
		wrong(d, name);
	return f ? f->str.p : "";
}

static uint64_t get_u64(struct decoding *d, const struct wr_value *v, const char *name, uint64_t max)
{
	const struct wr_value *f = field(d, v, name, WR_V_I64);

	if (f && (uint64_t)f->i64 > max)
		wrong(d, name);
	return f ? (uint64_t)f->i64 : 0;
}

static struct wr_manifest_state *get_states(struct decoding *d, const struct wr_value *v, const char *name,
					    uint32_t *count)
{
	const struct wr_value *list = field(d, v, name, WR_V_LIST);
	struct wr_manifest_state *s = list ? zeroed(d, list->count, sizeof *s) : NULL;

	*count = s ? list->count : 0;
	for (uint32_t i = 0; i < *count; i++) {
		s[i].kind = (uint32_t)get_u64(d, &list->items[i], "kind", UINT32_MAX);
		s[i].name = get_str(d, &list->items[i], "name");
		if (d->rc == WR_OK && wr_value_get(&list->items[i], "layout"))
			s[i].layout = get_str(d, &list->items[i], "layout");
		if (d->rc == WR_OK && wr_value_get(&list->items[i], "ttl"))
			s[i].ttl_ms = (int64_t)get_u64(d, &list->items[i], "ttl", INT64_MAX);
		if (d->rc == WR_OK && wr_value_get(&list->items[i], "version"))
			s[i].version = (uint32_t)get_u64(d, &list->items[i], "version", 255);
	}
	return s;
}

static void get_stage(struct decoding *d, const struct wr_value *v, struct wr_manifest_stage *s)
{
	s->uid = get_str(d, v, "uid");
	s->name = get_str(d, v, "name");
	s->states = get_states(d, v, "states", &s->state_count);
	s->broadcast = get_states(d, v, "broadcast", &s->broadcast_count);
}

/* Relative, and never upwards: a blob lies in the folder of its checkpoint. */
static bool is_inside(const char *id)
{
	if (*id == '/')
		return false;
	for (;;) {
		size_t len = strcspn(id, "/");

		if (len == 0 || (len <= 2 && strspn(id, ".") == len))
			return false;
		if (!id[len])
			return true;
		id += len + 1;
	}
}

static void get_task(struct decoding *d, const struct wr_value *v, struct wr_manifest_task *t)
{
	const struct wr_value *blob = wr_value_get(v, "blob");

	if (!blob || blob->tag != WR_V_FALSE)
		t->blob = get_str(d, v, "blob");
	if (t->blob && !is_inside(t->blob))
		wrong(d, "blob");
	t->bytes = get_u64(d, v, "bytes", UINT64_MAX);
	t->overtook = wr_value_get(v, "in_flight") != NULL;
	if (t->overtook)
		t->in_flight = get_u64(d, v, "in_flight", UINT64_MAX);
}

static void get_vertex(struct decoding *d, const struct wr_value *v, struct wr_manifest_vertex *to)
{
	const struct wr_value *stages = field(d, v, "stages", WR_V_LIST);
	const struct wr_value *tasks = field(d, v, "tasks", WR_V_LIST);

	to->name = get_str(d, v, "name");
	to->parallelism = (uint32_t)get_u64(d, v, "parallelism", 32768);
	to->max_parallelism = (uint32_t)get_u64(d, v, "max_parallelism", 32768);
	if (d->rc == WR_OK && (tasks->count != to->parallelism || !to->parallelism))
		wrong(d, "tasks");
	if (d->rc != WR_OK)
		return;
	to->stages = zeroed(d, stages->count, sizeof *to->stages);
	to->tasks = zeroed(d, tasks->count, sizeof *to->tasks);
	if (!to->stages || !to->tasks)
		return;
	to->stage_count = stages->count;
	for (uint32_t i = 0; i < stages->count; i++)
		get_stage(d, &stages->items[i], &to->stages[i]);
	for (uint32_t i = 0; i < tasks->count; i++)
		get_task(d, &tasks->items[i], &to->tasks[i]);
}

static void get_manifest(struct decoding *d, const struct wr_value *v, struct wr_manifest *m)
{
	const struct wr_value *vertices, *sources, *finished;
	uint64_t version;

	version = get_u64(d, v, "version", UINT64_MAX);
	if (version > WR_MANIFEST_VERSION && d->rc == WR_OK)
		d->rc = wr_error_set(WR_EFATAL,
				     "it was written by a newer program: a manifest of version %" PRIu64
				     ", this one reads up to %d",
				     version, WR_MANIFEST_VERSION);
	else if (version != WR_MANIFEST_VERSION)
		wrong(d, "version");
	m->checkpoint = get_u64(d, v, "checkpoint", INT64_MAX);
	m->lineage = get_u64(d, v, "lineage", UINT64_MAX);
	m->time_ms = (int64_t)get_u64(d, v, "time", UINT64_MAX);
	m->job = get_str(d, v, "job");
	m->script = get_str(d, v, "script");
	m->origin = v->tag == WR_V_RECORD && wr_value_get(v, "origin") ? get_str(d, v, "origin") : "";
	finished = wr_value_get(v, "finished");
	m->finished = finished && finished->tag == WR_V_TRUE;
	vertices = field(d, v, "vertices", WR_V_LIST);
	sources = field(d, v, "sources", WR_V_LIST);
	if (d->rc != WR_OK)
		return;
	m->vertices = zeroed(d, vertices->count, sizeof *m->vertices);
	m->sources = zeroed(d, sources->count, sizeof *m->sources);
	if (!m->vertices || !m->sources)
		return;
	for (; m->vertex_count < vertices->count && d->rc == WR_OK; m->vertex_count++)
		get_vertex(d, &vertices->items[m->vertex_count], &m->vertices[m->vertex_count]);
	for (; m->source_count < sources->count && d->rc == WR_OK; m->source_count++) {
		const struct wr_value *item = &sources->items[m->source_count];

		m->sources[m->source_count].uid = get_str(d, item, "uid");
		m->sources[m->source_count].state = wr_value_get(item, "state");
		if (!m->sources[m->source_count].state)
			wrong(d, "state");
	}
}

int wr_manifest_of(const struct wr_value *value, struct wr_arena *arena, struct wr_manifest *out)
{
	struct decoding d = {arena, WR_OK};

	*out = (struct wr_manifest){0};
	get_manifest(&d, value, out);
	return d.rc;
}

int wr_manifest_decode(const void *p, size_t len, struct wr_arena *arena, struct wr_manifest *out)
{
	struct decoding d = {arena, WR_OK};
	struct wr_block_reader r;
	struct wr_block block;
	struct wr_value *value = wr_arena_alloc(arena, sizeof *value);

	*out = (struct wr_manifest){0};
	if (!value)
		return WR_EFATAL;
	wr_block_reader_init(&r, p, len);
	d.rc = wr_block_next(&r, &block);
	if (d.rc == WR_END || (d.rc == WR_OK && block.kind != WR_BLOCK_MANIFEST))
		d.rc = wr_error_set(WR_EUSER, "this is no manifest");
	if (d.rc == WR_OK) {
		struct wr_reader in = wr_reader_of(block.payload, block.len);

		d.rc = wr_value_parse(&in, arena, value);
	}
	if (d.rc == WR_OK)
		get_manifest(&d, value, out);
	if (d.rc == WR_OK) {
		d.rc = wr_block_next(&r, &block);
		d.rc = d.rc == WR_END  ? WR_OK
		       : d.rc == WR_OK ? wr_error_set(WR_EUSER, "blocks follow the manifest")
				       : d.rc;
	}
	wr_block_reader_deinit(&r);
	return d.rc;
}

void wr_manifest_identity(const struct wr_manifest *m, char out[WR_MANIFEST_IDENTITY])
{
	snprintf(out, WR_MANIFEST_IDENTITY, "%016" PRIx64 "-%" PRIu64, m->lineage, m->checkpoint);
}

const struct wr_manifest_stage *wr_manifest_find(const struct wr_manifest *m, const char *uid,
						 uint32_t *vertex, uint32_t *stage)
{
	for (*vertex = 0; *vertex < m->vertex_count; ++*vertex) {
		const struct wr_manifest_vertex *v = &m->vertices[*vertex];

		for (*stage = 0; *stage < v->stage_count; ++*stage)
			if (!strcmp(v->stages[*stage].uid, uid))
				return &v->stages[*stage];
	}
	return NULL;
}
