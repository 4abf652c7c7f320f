/* SPDX-License-Identifier: Apache-2.0 */
/* http: requests to web servers, many at a time. An interface: its one implementation is the module "http"
 * (vendor/http.c, libcurl), which is loaded at the first request of a process.
 *
 * A client has a thread of its own, on which the connections live and `done` is called. Connections are kept
 * for the requests that follow.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { WR_HTTP_VERSION = 2 }; /* raised whenever a declaration of this file changes */

struct wr_http_request {
	uint64_t id; /* the caller's, unique among those under way */
	const char *url;
	const char *headers; /* "Name: value" lines, or "" */
	int64_t timeout_ms;  /* of the whole request, redirects included */
	uint32_t redirects_max;
	uint64_t body_max; /* bytes; a longer body is an error */
	const void *post;  /* NULL: a GET; else the body of a POST */
	size_t post_len;
};

/* What came of a request; borrowed while `done` runs. */
struct wr_http_reply {
	uint64_t id;
	const char *error;   /* no answer: why; else NULL */
	int status;	     /* of the last redirect's target: 200, 404 … */
	const char *headers; /* names, in small letters, and values in turn, each with a NUL behind it */
	uint32_t header_count;
	const uint8_t *body;
	size_t body_len;
};

struct wr_http; /* a client */
struct wr_http_functions {
	/* Starts the thread. NULL with the error set. */
	struct wr_http *(*open)(void (*done)(void *arg, const struct wr_http_reply *reply), void *arg);
	/* Copies the request; `done` is called for it, unless it is cancelled. WR_EUSER: no request can be
	 * made of this; WR_EFATAL. */
	int (*get)(struct wr_http *h, const struct wr_http_request *request);
	/* Gives the request up; `done` may be under way for it, or have been. */
	void (*cancel)(struct wr_http *h, uint64_t id);
	/* Gives all up; `done` is not called any more once it returns. */
	void (*close)(struct wr_http *h);
};
