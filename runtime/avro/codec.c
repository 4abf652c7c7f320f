/* SPDX-License-Identifier: Apache-2.0 */
/* codec: messages of Avro, with the schema's number in front or without; see codec.h. */
#include "avro/codec.h"

#include "avro/reader.h"
#include "avro/registry.h"
#include "avro/writer.h"
#include "base/clock.h"
#include "base/error.h"
#include "record/value.h"

enum {
	HEADER = 5,	   /* bytes in front of a message with a schema's number */
	KNOWN_MAX = 1024,  /* schemas that a reader remembers */
	TIMEOUT_MS = 5000, /* default */
	MISS_S = 10,	   /* that the registry does not know a number is remembered so long */
};

/* A writer's schema, and how it is read. */
struct known {
	uint32_t id;
	struct wr_avro_schema *schema;
	const struct wr_avro_step *step;
	char *why;	   /* it cannot be read; else NULL */
	uint64_t until_ns; /* of `why`, UINT64_MAX = for ever */
};

struct reader {
	struct wr_avro_reader *values;
	struct wr_avro_schema *schema; /* of the rows; NULL: that of each message */
	struct wr_registry *registry;  /* NULL: messages have no number */
	struct wr_arena steps;
	struct known *known; /* without a registry one, of every message */
	uint32_t known_count, known_size, last;
	struct wr_bytes text;
};

struct writer {
	struct wr_avro_writer *values;
	struct wr_avro_schema *schema;
	bool numbered;
	uint32_t id;
};

static struct wr_mem mem = WR_MEM_INIT("avro.codec");

static int schema_check(const char *text, size_t len)
{
	struct wr_avro_schema *s = wr_avro_schema_new(text, len);

	if (!s)
		return wr_error_code();
	wr_avro_schema_free(s);
	return WR_OK;
}

/* Schema of an option; *out NULL: it is not given. */
static int option_schema(const struct wr_value *options, const char *name, struct wr_avro_schema **out)
{
	const struct wr_value *text = wr_value_get(options, name);

	*out = NULL;
	if (!text)
		return WR_OK;
	*out = wr_avro_schema_new(text->str.p, text->str.len);
	return *out ? WR_OK : wr_error_wrap(wr_error_code(), "%s", name);
}

static int option_registry(const struct wr_value *options, const struct wr_notify *wake,
			   struct wr_registry **out)
{
	const char *url = wr_value_str(options, "registry", NULL);

	*out = url ? wr_registry_new(url, wr_value_int(options, "timeout", TIMEOUT_MS), wake) : NULL;
	return url && !*out ? wr_error_code() : WR_OK;
}

/* ---- reading ---- */

static void forget(struct reader *r)
{
	for (uint32_t i = 0; i < r->known_count; i++) {
		wr_avro_schema_free(r->known[i].schema);
		wr_free(&mem, r->known[i].why);
	}
	r->known_count = r->last = 0;
	wr_arena_reset(&r->steps);
}

static void reader_free(void *reader)
{
	struct reader *r = reader;

	if (!r)
		return;
	forget(r);
	wr_avro_reader_free(r->values);
	wr_avro_schema_free(r->schema);
	wr_registry_free(r->registry);
	wr_arena_deinit(&r->steps);
	wr_bytes_deinit(&r->text);
	wr_free(&mem, r->known);
	wr_free(&mem, r);
}

/* Takes the writer's schema, NULL: it could not be had, and this thread's error says why. */
static struct known *known_add(struct reader *r, uint32_t id, struct wr_avro_schema *schema, bool for_ever)
{
	struct known *k;

	if (r->known_count == KNOWN_MAX)
		forget(r);
	if (r->known_count == r->known_size &&
	    WR_GROW(&mem, r->known, r->known_size, r->known_count + 1) != WR_OK) {
		wr_avro_schema_free(schema);
		return NULL;
	}
	k = &r->known[r->known_count++];
	*k = (struct known){.id = id, .schema = schema, .until_ns = UINT64_MAX};
	if (schema)
		k->step = wr_avro_resolve(wr_avro_schema_type(schema),
					  wr_avro_schema_type(r->schema ? r->schema : schema), &r->steps);
	if (k->step)
		return k;
	if (wr_error_code() == WR_EUSER)
		k->why = wr_strdup(&mem, wr_error_text());
	if (!k->why) {
		wr_avro_schema_free(schema);
		r->known_count--;
		return NULL;
	}
	if (!for_ever)
		k->until_ns = wr_clock_ns(wr_clock_system()) + MISS_S * 1000000000ull;
	return k;
}

/* The schema of this number, from the registry. WR_OK; WR_AGAIN: it was asked for; or an error: it cannot be
 * had now. */
static int known_ask(struct reader *r, uint32_t id, const struct known **out)
{
	struct wr_avro_schema *schema = NULL;
	int rc;

	r->text.len = 0;
	rc = wr_registry_schema(r->registry, id, &r->text);
	if (rc == WR_OK) {
		schema = wr_avro_schema_new((const char *)r->text.data, r->text.len);
		if (!schema)
			wr_error_wrap(wr_error_code(), "schema %u of the registry", id);
		if (!schema && wr_error_code() != WR_EUSER)
			return wr_error_code();
	} else if (rc != WR_EUSER) {
		return rc;
	}
	*out = known_add(r, id, schema, rc == WR_OK);
	return *out ? WR_OK : wr_error_code();
}

static struct known *known_find(struct reader *r, uint32_t id)
{
	if (r->last < r->known_count && r->known[r->last].id == id)
		return &r->known[r->last];
	for (uint32_t i = 0; i < r->known_count; i++) {
		if (r->known[i].id == id) {
			r->last = i;
			return &r->known[i];
		}
	}
	return NULL;
}

static void known_drop(struct reader *r, struct known *k)
{
	wr_avro_schema_free(k->schema);
	wr_free(&mem, k->why);
	*k = r->known[--r->known_count];
}

/* How a message with this number is read; as of known_ask. */
static int known_of(struct reader *r, uint32_t id, const struct known **out)
{
	struct known *k = known_find(r, id);

	if (k && k->why && k->until_ns != UINT64_MAX && k->until_ns <= wr_clock_ns(wr_clock_system())) {
		known_drop(r, k);
		k = NULL;
	}
	*out = k;
	return k ? WR_OK : known_ask(r, id, out);
}

/* Takes the number from the front of a message. */
static int take_number(const uint8_t **p, size_t *len, uint32_t *id)
{
	const uint8_t *at = *p;

	if (*len < HEADER || at[0] != 0)
		return wr_error_set(WR_EUSER, "the message does not begin with a byte 0 and the number of a "
					      "schema, as those of a registry do");
	*id = (uint32_t)at[1] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 8 | at[4];
	*p += HEADER;
	*len -= HEADER;
	return WR_OK;
}

static int read_message(struct reader *r, const uint8_t *p, size_t len, const struct wr_node **nodes,
			size_t *count)
{
	const struct known *k = r->known;
	uint32_t id = 0;
	int rc = r->registry ? take_number(&p, &len, &id) : WR_OK;

	if (rc == WR_OK && r->registry)
		rc = known_of(r, id, &k);
	if (rc != WR_OK)
		return rc;
	return k->why ? wr_error_set(WR_EUSER, "%s", k->why)
		      : wr_avro_read(r->values, k->step, p, len, nodes, count);
}

static int nodes(void *reader, const void *p, size_t len, const struct wr_node **nodes, size_t *count)
{
	int rc = read_message(reader, p, len, nodes, count);

	return rc == WR_EUSER ? wr_error_wrap(rc, "Avro") : rc;
}

/* Messages without a number are of one schema. */
static int reader_plain(struct reader *r, const struct wr_value *options)
{
	struct wr_avro_schema *schema;
	const struct known *k;
	int rc;

	rc = option_schema(options, wr_value_get(options, "writer_schema") ? "writer_schema" : "schema",
			   &schema);
	if (rc == WR_OK && !schema)
		rc = wr_error_set(WR_EUSER, "a schema or the address of a registry is needed");
	if (rc != WR_OK)
		return rc;
	k = known_add(r, 0, schema, true);
	if (!k)
		return wr_error_code();
	return k->why ? wr_error_set(WR_EUSER, "%s", k->why) : WR_OK;
}

static void *reader_new(const struct wr_value *options, const struct wr_notify *wake)
{
	struct reader *r = wr_zalloc(&mem, sizeof *r);
	int rc;

	if (!r)
		return NULL;
	wr_arena_init(&r->steps, &mem);
	r->values = wr_avro_reader_new();
	rc = r->values ? option_schema(options, "schema", &r->schema) : WR_EFATAL;
	if (rc == WR_OK)
		rc = option_registry(options, wake, &r->registry);
	if (rc == WR_OK && !r->registry)
		rc = reader_plain(r, options);
	if (rc == WR_OK)
		return r;
	if (rc == WR_EUSER)
		wr_error_wrap(rc, "Avro");
	reader_free(r);
	return NULL;
}

/* ---- writing ---- */

static void writer_free(void *writer)
{
	struct writer *w = writer;

	if (!w)
		return;
	wr_avro_writer_free(w->values);
	wr_avro_schema_free(w->schema);
	wr_free(&mem, w);
}

/* The number of the schema; the schema itself, if it is not given. */
static int writer_number(struct writer *w, const struct wr_value *options, struct wr_registry *registry)
{
	const char *subject = wr_value_str(options, "subject", NULL);
	const struct wr_value *text = wr_value_get(options, "schema");
	struct wr_bytes schema = WR_BYTES_EMPTY;
	int rc;

	if (!subject)
		return wr_error_set(WR_EUSER, "to write by a registry a subject is needed");
	w->numbered = true;
	if (text)
		return wr_registry_register(registry, subject, text->str.p, text->str.len, &w->id);
	rc = wr_registry_latest(registry, subject, &w->id, &schema);
	if (rc == WR_OK) {
		w->schema = wr_avro_schema_new((const char *)schema.data, schema.len);
		rc = w->schema ? WR_OK : wr_error_wrap(wr_error_code(), "schema %u of the registry", w->id);
	}
	wr_bytes_deinit(&schema);
	return rc;
}

static void *writer_new(const struct wr_value *options)
{
	struct writer *w = wr_zalloc(&mem, sizeof *w);
	struct wr_registry *registry = NULL;
	int rc;

	if (!w)
		return NULL;
	w->values = wr_avro_writer_new();
	rc = w->values ? option_schema(options, "schema", &w->schema) : WR_EFATAL;
	if (rc == WR_OK)
		rc = option_registry(options, NULL, &registry);
	if (rc == WR_OK && registry)
		rc = writer_number(w, options, registry);
	if (rc == WR_OK && !w->schema)
		rc = wr_error_set(WR_EUSER, "a schema or the address of a registry is needed");
	wr_registry_free(registry);
	if (rc == WR_OK)
		return w;
	if (rc == WR_EUSER)
		wr_error_wrap(rc, "Avro");
	writer_free(w);
	return NULL;
}

static int write(void *writer, const struct wr_elem *row, struct wr_bytes *out)
{
	struct writer *w = writer;
	int rc;

	if (w->numbered) {
		uint8_t header[HEADER] = {0, (uint8_t)(w->id >> 24), (uint8_t)(w->id >> 16),
					  (uint8_t)(w->id >> 8), (uint8_t)w->id};

		wr_bytes_put(out, header, sizeof header);
	}
	rc = wr_avro_write(w->values, wr_avro_schema_type(w->schema), row, out);
	return rc == WR_EUSER ? wr_error_wrap(rc, "Avro") : rc;
}

const struct wr_codec wr_avro_codec = {
    .schema_check = schema_check,
    .reader_new = reader_new,
    .reader_free = reader_free,
    .nodes = nodes,
    .writer_new = writer_new,
    .writer_free = writer_free,
    .write = write,
};
