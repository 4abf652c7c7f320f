/* SPDX-License-Identifier: Apache-2.0 */
/* rows: messages as rows; see rows.h. */
#include "kafka/rows.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/error.h"
#include "format/decoder.h"
#include "format/learn.h"

enum { MEMBERS = 7 /* of a row with meta */ };

struct header {
	const char *name;
	const void *value; /* NULL: null */
	size_t len;
	size_t at; /* in the message */
};

struct wr_kafka_rows {
	struct wr_stage *stage;
	struct wr_decoder *value, *key;
	struct wr_learner *learner;
	bool meta;
	struct wr_node *nodes; /* of a row with meta */
	uint32_t nodes_size;
	struct header *headers;
	uint32_t headers_size;
	struct wr_bytes tagged; /* the headers */
	struct wr_bytes bad;	/* a row of what cannot be decoded */
};

static struct wr_mem mem = WR_MEM_INIT("kafka.rows");
static const struct wr_node null_node = {.type = WR_T_NULL};

struct wr_kafka_rows *wr_kafka_rows_new(struct wr_stage *s)
{
	struct wr_kafka_rows *r = wr_zalloc(&mem, sizeof *r);
	const struct wr_value *key = wr_value_get(s->options, "key");

	if (!r)
		return NULL;
	r->stage = s;
	r->meta = wr_value_bool(s->options, "meta", false);
	r->learner = wr_learner_new();
	r->value = r->learner ? wr_decoder_new(s->options, &s->env->wake) : NULL;
	r->key = r->value && key ? wr_decoder_new(key, &s->env->wake) : NULL;
	if (r->value && (r->key || !key))
		return r;
	wr_kafka_rows_free(r);
	return NULL;
}

void wr_kafka_rows_free(struct wr_kafka_rows *r)
{
	if (!r)
		return;
	wr_decoder_free(r->value);
	wr_decoder_free(r->key);
	wr_learner_free(r->learner);
	wr_free(&mem, r->nodes);
	wr_free(&mem, r->headers);
	wr_bytes_deinit(&r->tagged);
	wr_bytes_deinit(&r->bad);
	wr_free(&mem, r);
}

static int64_t time_of(const rd_kafka_message_t *m)
{
	rd_kafka_timestamp_type_t type;
	int64_t ms = rd_kafka_message_timestamp(m, &type);

	return type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || ms < 0 ? WR_TS_NONE : ms;
}

/* ---- what cannot be decoded ---- */

static struct wr_cell text_cell(const void *p, size_t len)
{
	return (struct wr_cell){.type = p ? WR_T_STR : 0, .str = {p, (uint32_t)len}};
}

static struct wr_cell number_cell(int64_t n)
{
	return (struct wr_cell){.type = n == WR_TS_NONE ? 0 : WR_T_F64, .f64 = (double)n};
}

/* The message as it is, as a row; NULL with the error set. */
static const struct wr_elem *raw_row(struct wr_kafka_rows *r, const char *topic, const rd_kafka_message_t *m)
{
	struct wr_field_spec fields[] = {{"key", 3, WR_T_STR, 0},	{"offset", 6, WR_T_F64, 0},
					 {"partition", 9, WR_T_F64, 0}, {"timestamp", 9, WR_T_F64, 0},
					 {"topic", 5, WR_T_STR, 0},	{"value", 5, WR_T_STR, 0}};
	struct wr_cell cells[] = {text_cell(m->key, m->key_len),   number_cell(m->offset),
				  number_cell(m->partition),	   number_cell(time_of(m)),
				  text_cell(topic, strlen(topic)), text_cell(m->payload, m->len)};
	uint32_t shape = wr_shape_intern(fields, sizeof fields / sizeof fields[0], 1, 0);

	if (!shape)
		return NULL;
	r->bad.len = 0;
	wr_row_put(&r->bad, shape, WR_INSERT, time_of(m), cells);
	return wr_bytes_status(&r->bad) == WR_OK ? (const struct wr_elem *)r->bad.data : NULL;
}

/* As on_error says; the dead letter has the message as it is. */
static int bad(struct wr_kafka_rows *r, const char *topic, const rd_kafka_message_t *m, const char *what)
{
	char origin[512], reason[512];
	const struct wr_elem *row;

	snprintf(reason, sizeof reason, "%s: %s", what, wr_error_text());
	snprintf(origin, sizeof origin, "topic %s, partition %" PRId32 ", offset %" PRId64, topic,
		 m->partition, m->offset);
	row = raw_row(r, topic, m);
	return row ? wr_stage_bad_row(r->stage, 0, row, NULL, 0, origin, reason, WR_EUSER) : wr_error_code();
}

/* ---- headers ---- */

static int by_name(const void *a, const void *b)
{
	const struct header *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->at > y->at) - (x->at < y->at);
}

static int take_headers(struct wr_kafka_rows *r, const rd_kafka_headers_t *list, uint32_t *count)
{
	const char *name;
	const void *value;
	size_t len;

	for (*count = 0; rd_kafka_header_get_all(list, *count, &name, &value, &len) == 0; ++*count) {
		if (*count == r->headers_size && WR_GROW(&mem, r->headers, r->headers_size, 8) != WR_OK)
			return WR_EFATAL;
		r->headers[*count] = (struct header){name, value, len, *count};
	}
	return WR_OK;
}

/* The headers as one tagged record; of a name that stands twice the last. */
static int tag_headers(struct wr_kafka_rows *r, const rd_kafka_headers_t *list)
{
	uint32_t count, unique = 0;
	int rc = take_headers(r, list, &count);

	if (rc != WR_OK)
		return rc;
	if (count > 0)
		qsort(r->headers, count, sizeof *r->headers, by_name);
	for (uint32_t i = 0; i < count; i++)
		if (i + 1 == count || strcmp(r->headers[i].name, r->headers[i + 1].name) != 0)
			r->headers[unique++] = r->headers[i];
	r->tagged.len = 0;
	wr_value_put_record(&r->tagged, unique);
	for (uint32_t i = 0; i < unique; i++) {
		wr_value_put_name(&r->tagged, r->headers[i].name);
		if (r->headers[i].value)
			wr_value_put_strn(&r->tagged, r->headers[i].value, r->headers[i].len);
		else
			wr_bytes_put_u8(&r->tagged, WR_V_NULL);
	}
	return wr_bytes_status(&r->tagged);
}

/* ---- rows ---- */

/* What a message's value, or key, is made of. */
struct decoded {
	const struct wr_node *nodes;
	size_t count;
};

static int decode(struct wr_decoder *d, const void *p, size_t len, struct decoded *out)
{
	*out = (struct decoded){&null_node, 1};
	return p ? wr_decoder_nodes(d, p, len, &out->nodes, &out->count) : WR_OK;
}

/* Room for the nodes of a row with meta. */
static bool nodes_room(struct wr_kafka_rows *r, size_t count)
{
	return count <= r->nodes_size || WR_GROW(&mem, r->nodes, r->nodes_size, (uint32_t)count) == WR_OK;
}

static struct wr_node *add(struct wr_node *to, const char *name, const struct decoded *value)
{
	memcpy(to, value->nodes, value->count * sizeof *to);
	to->key = name;
	to->key_len = (uint32_t)strlen(name);
	return to + value->count;
}

static struct wr_node *add_number(struct wr_node *to, const char *name, int64_t n)
{
	*to = (struct wr_node){.type = WR_T_F64, .key = name, .key_len = (uint32_t)strlen(name)};
	to->f64 = (double)n;
	return to + 1;
}

static struct wr_node *add_text(struct wr_node *to, uint32_t type, const char *name, const void *p,
				size_t len)
{
	*to = (struct wr_node){
	    .type = type, .key = name, .key_len = (uint32_t)strlen(name), .len = (uint32_t)len};
	to->str = p;
	return to + 1;
}

static int with_meta(struct wr_kafka_rows *r, const char *topic, const rd_kafka_message_t *m,
		     const struct decoded *value, const struct decoded *key)
{
	rd_kafka_headers_t *headers = NULL;
	struct wr_node *to;
	uint32_t members = 4;
	int rc = WR_OK;

	if (rd_kafka_message_headers(m, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
		rc = tag_headers(r, headers);
	if (rc == WR_OK && !nodes_room(r, value->count + key->count + MEMBERS))
		rc = WR_EFATAL;
	if (rc != WR_OK)
		return rc;
	to = r->nodes + 1;
	if (headers && ++members)
		to = add_text(to, WR_T_MAP, "headers", r->tagged.data, r->tagged.len);
	if (m->key && ++members)
		to = add(to, "key", key);
	to = add_number(to, "offset", m->offset);
	to = add_number(to, "partition", m->partition);
	if (time_of(m) != WR_TS_NONE && ++members)
		to = add_number(to, "timestamp", time_of(m));
	to = add_text(to, WR_T_STR, "topic", topic, strlen(topic));
	add(to, "value", value);
	r->nodes[0] = (struct wr_node){.type = WR_T_ROW, .len = members};
	return wr_learner_row(r->learner, r->nodes, time_of(m), r->stage->outs[0]);
}

int wr_kafka_rows_put(struct wr_kafka_rows *r, const char *topic, const rd_kafka_message_t *m)
{
	struct decoded value, key = {&null_node, 1};
	const char *what = "value";
	int rc = decode(r->value, m->payload, m->len, &value);

	if (rc == WR_OK && r->meta && r->key) {
		what = "key";
		rc = decode(r->key, m->key, m->key_len, &key);
	}
	if (rc == WR_OK) {
		what = "record";
		rc = r->meta ? with_meta(r, topic, m, &value, &key)
			     : wr_learner_row(r->learner, value.nodes, time_of(m), r->stage->outs[0]);
	}
	return rc == WR_EUSER ? bad(r, topic, m, what) : rc;
}
