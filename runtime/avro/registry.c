/* SPDX-License-Identifier: Apache-2.0 */
/* registry: questions to a registry of schemas; see registry.h. The answer comes on the client's thread. */
#include "avro/registry.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include "base/error.h"
#include "format/json_reader.h"
#include "module/module.h"
#include "record/shape.h"
#include "stream/http.h"

enum { ANSWER_MAX = 4 << 20 /* bytes */, REDIRECTS_MAX = 5, SHOWN_MAX = 200 };
enum { NOT_FOUND = 404, TIME_OVER = 408, TOO_MANY = 429 }; /* of HTTP */

struct wr_registry {
	const struct wr_http_functions *http;
	struct wr_http *client;
	char *url;
	int64_t timeout_ms;
	const struct wr_notify *wake; /* NULL: every question is waited for */
	bool asking;		      /* for the schema `id`, and the answer was not taken yet */
	uint32_t id;
	struct wr_bytes path; /* of the question */
	struct wr_json *json;
	int64_t charged; /* of the parser's own memory */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t came;
	uint64_t asked;	   /* questions so far */
	uint64_t answered; /* the question whose answer is here */
	int status;	   /* 0: there is none, and `body` says why */
	struct wr_bytes body;
};

static struct wr_mem mem = WR_MEM_INIT("avro.registry");
static struct wr_mem json_mem = WR_MEM_INIT("avro.simdjson");

static void charge(struct wr_registry *r, int64_t bytes)
{
	wr_mem_charge(&json_mem, bytes - r->charged);
	r->charged = bytes;
}

static void done(void *arg, const struct wr_http_reply *reply)
{
	struct wr_registry *r = arg;

	pthread_mutex_lock(&r->lock);
	if (reply->id == r->asked) { /* else it was given up */
		r->status = reply->error ? 0 : reply->status;
		r->body.len = 0;
		if (reply->error)
			wr_bytes_put(&r->body, reply->error, strlen(reply->error));
		else if (reply->body_len)
			wr_bytes_put(&r->body, reply->body, reply->body_len);
		r->answered = reply->id;
		pthread_cond_signal(&r->came);
	}
	pthread_mutex_unlock(&r->lock);
	wr_notify_fire(r->wake);
}

struct wr_registry *wr_registry_new(const char *url, int64_t timeout_ms, const struct wr_notify *wake)
{
	struct wr_registry *r = wr_zalloc(&mem, sizeof *r);
	size_t len = strlen(url);

	if (!r)
		return NULL;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->came, NULL);
	r->timeout_ms = timeout_ms;
	r->wake = wake;
	while (len && url[len - 1] == '/')
		len--;
	r->url = wr_strndup(&mem, url, len);
	r->http = r->url ? wr_module_load("http", WR_HTTP_VERSION) : NULL;
	if (r->http)
		r->client = r->http->open(done, r);
	r->json = r->client ? wr_json_new() : NULL;
	if (r->client && !r->json)
		wr_error_nomem(0, "a JSON parser");
	if (r->json)
		return r;
	wr_registry_free(r);
	return NULL;
}

void wr_registry_free(struct wr_registry *r)
{
	if (!r)
		return;
	if (r->client)
		r->http->close(r->client);
	if (r->json)
		wr_json_free(r->json);
	charge(r, 0);
	pthread_cond_destroy(&r->came);
	pthread_mutex_destroy(&r->lock);
	wr_bytes_deinit(&r->path);
	wr_bytes_deinit(&r->body);
	wr_free(&mem, r->url);
	wr_free(&mem, r);
}

/* ---- a question ---- */

/* Error about the question at hand; a password in the address is not shown. */
static int failed(struct wr_registry *r, int code, const char *why, size_t len)
{
	const char *scheme = strstr(r->url, "://"), *rest = scheme ? scheme + 3 : r->url;
	const char *at = strrchr(rest, '@');
	char status[32] = "";

	if (r->status)
		snprintf(status, sizeof status, "status %d: ", r->status);
	return wr_error_set(code, "schema registry: %.*s%s%s: %s%.*s", (int)(rest - r->url), r->url,
			    at ? at + 1 : rest, (const char *)r->path.data, status,
			    (int)(len < SHOWN_MAX ? len : SHOWN_MAX), why);
}

static int bad_answer(struct wr_registry *r, const char *why)
{
	return failed(r, WR_ETRANSIENT, why, strlen(why));
}

/* The question of r->path. */
static int send(struct wr_registry *r, const struct wr_bytes *post)
{
	struct wr_bytes url = WR_BYTES_EMPTY;
	struct wr_http_request request = {
	    .headers = "Accept: application/vnd.schemaregistry.v1+json, application/json\n"
		       "Content-Type: application/vnd.schemaregistry.v1+json\n",
	    .timeout_ms = r->timeout_ms,
	    .redirects_max = REDIRECTS_MAX,
	    .body_max = ANSWER_MAX,
	    .post = post ? post->data : NULL,
	    .post_len = post ? post->len : 0,
	};
	int rc;

	wr_bytes_put_u8(&r->path, 0);
	rc = wr_bytes_status(&r->path);
	if (rc != WR_OK)
		return rc;
	pthread_mutex_lock(&r->lock);
	request.id = ++r->asked;
	pthread_mutex_unlock(&r->lock);
	wr_bytes_printf(&url, "%s%s", r->url, (const char *)r->path.data);
	wr_bytes_put_u8(&url, 0);
	request.url = (const char *)url.data;
	rc = wr_bytes_status(&url);
	if (rc == WR_OK)
		rc = r->http->get(r->client, &request);
	wr_bytes_deinit(&url);
	return rc;
}

/* What an answer that is none of success says of trying again. */
static int code_of(int status)
{
	if (status == NOT_FOUND)
		return WR_EUSER;
	return status >= 400 && status < 500 && status != TIME_OVER && status != TOO_MANY ? WR_EFATAL
											  : WR_ETRANSIENT;
}

/* WR_OK: r->body is the answer to the last question. WR_AGAIN: it is not there, and not waited for. */
static int answer(struct wr_registry *r, bool wait)
{
	bool here;

	pthread_mutex_lock(&r->lock);
	while (wait && r->answered != r->asked)
		pthread_cond_wait(&r->came, &r->lock);
	here = r->answered == r->asked;
	pthread_mutex_unlock(&r->lock);
	if (!here)
		return WR_AGAIN;
	if (wr_bytes_status(&r->body) != WR_OK)
		return WR_EFATAL;
	if (r->status >= 200 && r->status < 300)
		return WR_OK;
	return failed(r, code_of(r->status), (const char *)r->body.data, r->body.len);
}

/* Asks for r->path and waits. */
static int ask(struct wr_registry *r, const struct wr_bytes *post)
{
	int rc = send(r, post);

	return rc == WR_OK ? answer(r, true) : rc;
}

/* ---- answers ---- */

/* The nodes of the answer, in `arena`; NULL with the error set. */
static const struct wr_node *answer_nodes(struct wr_registry *r, struct wr_arena *arena)
{
	struct wr_node *nodes;
	const char *wrong;
	size_t count;

	if (!wr_bytes_room(&r->body, WR_JSON_PADDING)) {
		wr_bytes_status(&r->body);
		return NULL;
	}
	memset(r->body.data + r->body.len, 0, WR_JSON_PADDING);
	wrong = wr_json_parse(r->json, r->body.data, r->body.len);
	charge(r, (int64_t)wr_json_bytes(r->json));
	count = wrong ? 0 : wr_json_nodes(r->json, NULL, 0);
	if (!count) {
		bad_answer(r, "the answer is no JSON");
		return NULL;
	}
	nodes = wr_arena_alloc(arena, count * sizeof *nodes);
	if (nodes)
		wr_json_nodes(r->json, nodes, count);
	return nodes;
}

static const struct wr_node *member(const struct wr_node *n, const char *name)
{
	const struct wr_node *m = n + 1;

	for (uint32_t i = 0; n->type == WR_T_ROW && i < n->len; i++, m = wr_node_skip(m))
		if (m->key_len == strlen(name) && memcmp(m->key, name, m->key_len) == 0)
			return m;
	return NULL;
}

static int take_schema(struct wr_registry *r, const struct wr_node *answer, struct wr_bytes *out)
{
	const struct wr_node *type = member(answer, "schemaType"), *schema = member(answer, "schema");
	const struct wr_node *references = member(answer, "references");
	const char *why = NULL;

	if (type && type->type == WR_T_STR && (type->len != 4 || memcmp(type->str, "AVRO", 4) != 0))
		why = "the schema is none of Avro's";
	else if (references && references->type == WR_T_LIST && references->len)
		why = "the schema refers to other subjects, and those are not read";
	if (why)
		return failed(r, WR_EUSER, why, strlen(why));
	if (!schema || schema->type != WR_T_STR)
		return bad_answer(r, "the answer has no \"schema\"");
	wr_bytes_put(out, schema->str, schema->len);
	return wr_bytes_status(out);
}

static int take_id(struct wr_registry *r, const struct wr_node *answer, uint32_t *id)
{
	const struct wr_node *n = member(answer, "id");

	if (!n || n->type != WR_T_F64 || !(n->f64 >= 0 && n->f64 <= UINT32_MAX) || n->f64 != (uint32_t)n->f64)
		return bad_answer(r, "the answer has no \"id\"");
	*id = (uint32_t)n->f64;
	return WR_OK;
}

/* What is wanted of the answer; NULL: nothing. */
static int take(struct wr_registry *r, uint32_t *id, struct wr_bytes *schema)
{
	const struct wr_node *answer;
	struct wr_arena arena;
	int rc;

	wr_arena_init(&arena, &mem);
	answer = answer_nodes(r, &arena);
	rc = answer ? WR_OK : wr_error_code();
	if (rc == WR_OK && schema)
		rc = take_schema(r, answer, schema);
	if (rc == WR_OK && id)
		rc = take_id(r, answer, id);
	wr_arena_deinit(&arena);
	return rc;
}

/* ---- the questions ---- */

static void put_subject(struct wr_registry *r, const char *subject)
{
	for (const char *p = subject; *p; p++) {
		if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
		    *p == '-' || *p == '_' || *p == '.' || *p == '~')
			wr_bytes_put_u8(&r->path, (uint8_t)*p);
		else
			wr_bytes_printf(&r->path, "%%%02X", (unsigned)(uint8_t)*p);
	}
}

int wr_registry_schema(struct wr_registry *r, uint32_t id, struct wr_bytes *schema)
{
	int rc = WR_OK;

	if (!r->asking || r->id != id) {
		r->path.len = 0;
		wr_bytes_printf(&r->path, "/schemas/ids/%" PRIu32, id);
		rc = send(r, NULL);
		r->id = id;
	}
	if (rc == WR_OK)
		rc = answer(r, !r->wake);
	r->asking = rc == WR_AGAIN;
	return rc == WR_OK ? take(r, NULL, schema) : rc;
}

int wr_registry_latest(struct wr_registry *r, const char *subject, uint32_t *id, struct wr_bytes *schema)
{
	int rc;

	r->path.len = 0;
	wr_bytes_printf(&r->path, "/subjects/");
	put_subject(r, subject);
	wr_bytes_printf(&r->path, "/versions/latest");
	rc = ask(r, NULL);
	return rc == WR_OK ? take(r, id, schema) : rc;
}

int wr_registry_register(struct wr_registry *r, const char *subject, const char *schema, size_t len,
			 uint32_t *id)
{
	struct wr_bytes post = WR_BYTES_EMPTY;
	int rc;

	r->path.len = 0;
	wr_bytes_printf(&r->path, "/subjects/");
	put_subject(r, subject);
	wr_bytes_printf(&r->path, "/versions");
	wr_bytes_printf(&post, "{\"schema\":");
	wr_bytes_put_json(&post, schema, len);
	wr_bytes_put_u8(&post, '}');
	rc = wr_bytes_status(&post);
	if (rc == WR_OK)
		rc = ask(r, &post);
	wr_bytes_deinit(&post);
	return rc == WR_OK ? take(r, id, NULL) : rc;
}
