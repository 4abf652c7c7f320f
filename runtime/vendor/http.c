/* SPDX-License-Identifier: Apache-2.0 */
/* http: the module "http", libcurl behind stream/http.h.
 *
 * One thread a client runs a multi handle. The owner of the client puts requests and cancellations on a list
 * and wakes it; nothing else is shared.
 */
#include "stream/http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "base/bytes.h"
#include "base/error.h"
#include "base/thread.h"
#include "module/module.h"

enum {
	POLL_MS = 60000, /* longest sleep; the library itself knows of earlier times */
	CONNECTIONS_KEPT = 256,
};

static struct wr_mem mem = WR_MEM_INIT("vendor.http");

struct request {
	struct request *next; /* of those that are new, and of those under way */
	struct wr_http *http;
	uint64_t id, body_max;
	CURL *easy;
	struct curl_slist *lines; /* request headers */
	struct wr_bytes headers, body;
	uint32_t header_count;
	bool too_long;
	char error[CURL_ERROR_SIZE];
};

struct wr_http {
	void (*done)(void *arg, const struct wr_http_reply *reply);
	void *arg;
	CURLM *multi;
	struct wr_thread thread;
	struct request *running; /* the thread's */
	pthread_mutex_t lock;	 /* of what follows */
	struct request *fresh;
	struct wr_bytes cancelled; /* ids */
	bool closing;
};

/* ---- what the library calls ---- */

static void *hook_malloc(size_t n)
{
	return wr_alloc(&mem, n);
}

static void hook_free(void *p)
{
	wr_free(&mem, p);
}

static void *hook_realloc(void *p, size_t n)
{
	return wr_realloc(&mem, p, n);
}

static char *hook_strdup(const char *s)
{
	return wr_strdup(&mem, s);
}

static void *hook_calloc(size_t n, size_t size)
{
	return size && n > SIZE_MAX / size ? NULL : wr_zalloc(&mem, n * size);
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct request *r = arg;

	if (n > r->body_max || r->body.len > r->body_max - n) {
		r->too_long = true;
		return 0;
	}
	wr_bytes_put(&r->body, p, n);
	return r->body.failed ? 0 : size * n;
}

/* One header line; a line of status begins the headers of a new answer, such as behind a redirect. */
static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	struct request *r = arg;
	size_t len = n, colon;

	while (len && (p[len - 1] == '\r' || p[len - 1] == '\n'))
		len--;
	if (len >= 5 && !memcmp(p, "HTTP/", 5)) {
		r->headers.len = 0;
		r->header_count = 0;
		return size * n;
	}
	for (colon = 0; colon < len && p[colon] != ':'; colon++)
		;
	if (!colon || colon == len)
		return size * n;
	for (size_t i = 0; i < colon; i++)
		wr_bytes_put_u8(&r->headers, (uint8_t)(p[i] >= 'A' && p[i] <= 'Z' ? p[i] | 32 : p[i]));
	wr_bytes_put_u8(&r->headers, 0);
	for (colon++; colon < len && (p[colon] == ' ' || p[colon] == '\t'); colon++)
		;
	wr_bytes_put(&r->headers, p + colon, len - colon);
	wr_bytes_put_u8(&r->headers, 0);
	r->header_count++;
	return r->headers.failed ? 0 : size * n;
}

/* ---- one request ---- */

static void request_free(struct request *r)
{
	if (r->easy)
		curl_easy_cleanup(r->easy);
	curl_slist_free_all(r->lines);
	wr_bytes_deinit(&r->headers);
	wr_bytes_deinit(&r->body);
	wr_free(&mem, r);
}

static int add_lines(struct request *r, const char *lines)
{
	char line[8192];

	while (*lines) {
		size_t len = strcspn(lines, "\n");
		struct curl_slist *list;

		if (len >= sizeof line)
			return wr_error_set(WR_EUSER, "a request header of %zu bytes", len);
		memcpy(line, lines, len);
		line[len] = 0;
		list = curl_slist_append(r->lines, line);
		if (!list)
			return wr_error_nomem(len, "a request header");
		r->lines = list;
		lines += len + (lines[len] == '\n');
	}
	return WR_OK;
}

static int request_set(struct request *r, const struct wr_http_request *from)
{
	CURL *easy = r->easy;
	CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, from->url);

	if (code != CURLE_OK)
		return wr_error_set(WR_EUSER, "%s", curl_easy_strerror(code));
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "weir");
	curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)from->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, from->redirects_max ? 1L : 0L);
	curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)from->redirects_max);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, r->error);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, r);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, r->lines);
	if (from->post) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)from->post_len);
		curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, from->post);
	}
	return WR_OK;
}

static struct request *request_new(struct wr_http *h, const struct wr_http_request *from)
{
	struct request *r = wr_zalloc(&mem, sizeof *r);
	int rc;

	if (!r)
		return NULL;
	r->http = h;
	r->id = from->id;
	r->body_max = from->body_max;
	r->easy = curl_easy_init();
	rc = r->easy ? add_lines(r, from->headers) : wr_error_nomem(0, "a request");
	if (rc == WR_OK)
		rc = request_set(r, from);
	if (rc == WR_OK)
		return r;
	request_free(r);
	return NULL;
}

/* ---- the thread ---- */

static void request_end(struct wr_http *h, struct request *r)
{
	struct request **at = &h->running;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	curl_multi_remove_handle(h->multi, r->easy);
	request_free(r);
}

static void report(struct wr_http *h, struct request *r, CURLcode code)
{
	struct wr_http_reply reply = {.id = r->id};
	char text[CURL_ERROR_SIZE + 64];
	long status = 0;

	if (r->too_long) {
		snprintf(text, sizeof text, "the body is longer than %llu bytes (body_max)",
			 (unsigned long long)r->body_max);
		reply.error = text;
	} else if (code != CURLE_OK) {
		reply.error = r->error[0] ? r->error : curl_easy_strerror(code);
	} else {
		curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
		reply.status = (int)status;
		reply.headers = (const char *)r->headers.data;
		reply.header_count = r->header_count;
		reply.body = r->body.data;
		reply.body_len = r->body.len;
	}
	h->done(h->arg, &reply);
}

/* Takes over what the owner wants. False: the end. */
static bool take(struct wr_http *h)
{
	struct request *fresh;
	struct wr_bytes cancelled;
	struct wr_reader ids;
	bool closing;

	pthread_mutex_lock(&h->lock);
	fresh = h->fresh;
	h->fresh = NULL;
	cancelled = h->cancelled;
	h->cancelled = (struct wr_bytes)WR_BYTES_EMPTY;
	closing = h->closing;
	pthread_mutex_unlock(&h->lock);
	for (struct request *r; (r = fresh);) {
		fresh = r->next;
		r->next = h->running;
		h->running = r;
		if (curl_multi_add_handle(h->multi, r->easy) == CURLM_OK)
			continue;
		report(h, r, CURLE_OUT_OF_MEMORY);
		request_end(h, r);
	}
	ids = wr_reader_of(cancelled.data, cancelled.len);
	while (ids.p < ids.end) {
		uint64_t id = wr_read_u64(&ids);
		struct request *r = h->running;

		while (r && r->id != id)
			r = r->next;
		if (r)
			request_end(h, r);
	}
	wr_bytes_deinit(&cancelled);
	return !closing;
}

static void *run(void *arg)
{
	struct wr_http *h = arg;

	while (take(h)) {
		CURLMsg *m;
		int left;

		curl_multi_perform(h->multi, &left);
		while ((m = curl_multi_info_read(h->multi, &left))) {
			CURLcode code = m->data.result;
			struct request *r;

			if (m->msg != CURLMSG_DONE)
				continue;
			curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &r);
			report(h, r, code);
			request_end(h, r);
		}
		curl_multi_poll(h->multi, NULL, 0, POLL_MS, NULL);
	}
	return NULL;
}

/* ---- the owner ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void library_init(void)
{
	curl_global_init_mem(CURL_GLOBAL_DEFAULT, hook_malloc, hook_free, hook_realloc, hook_strdup,
			     hook_calloc);
}

static void http_close(struct wr_http *h)
{
	pthread_mutex_lock(&h->lock);
	h->closing = true;
	pthread_mutex_unlock(&h->lock);
	if (h->thread.running) {
		curl_multi_wakeup(h->multi);
		wr_thread_join(&h->thread);
	}
	while (h->running)
		request_end(h, h->running);
	if (h->multi)
		curl_multi_cleanup(h->multi);
	wr_bytes_deinit(&h->cancelled);
	pthread_mutex_destroy(&h->lock);
	wr_free(&mem, h);
}

static struct wr_http *http_open(void (*done)(void *arg, const struct wr_http_reply *reply), void *arg)
{
	struct wr_http *h = wr_zalloc(&mem, sizeof *h);
	int rc;

	if (!h)
		return NULL;
	pthread_once(&once, library_init);
	pthread_mutex_init(&h->lock, NULL);
	h->done = done;
	h->arg = arg;
	h->multi = curl_multi_init();
	if (h->multi)
		curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
	rc = h->multi ? wr_thread_start(&h->thread, "weir-http", -1, run, h)
		      : wr_error_nomem(0, "an HTTP client");
	if (rc == WR_OK)
		return h;
	http_close(h);
	return NULL;
}

static int http_get(struct wr_http *h, const struct wr_http_request *request)
{
	struct request *r = request_new(h, request);

	if (!r)
		return wr_error_code();
	pthread_mutex_lock(&h->lock);
	r->next = h->fresh;
	h->fresh = r;
	pthread_mutex_unlock(&h->lock);
	curl_multi_wakeup(h->multi);
	return WR_OK;
}

static void http_cancel(struct wr_http *h, uint64_t id)
{
	pthread_mutex_lock(&h->lock);
	wr_bytes_put_u64(&h->cancelled, id);
	pthread_mutex_unlock(&h->lock);
	curl_multi_wakeup(h->multi);
}

static const struct wr_http_functions functions = {
    .open = http_open, .get = http_get, .cancel = http_cancel, .close = http_close};

const struct wr_module wr_module = {.version = WR_HTTP_VERSION, .functions = &functions};
