/* SPDX-License-Identifier: Apache-2.0 */
/* dial: a TCP connection; see dial.h. On a pump's or an I/O thread. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/error.h"
#include "stream/dial.h"

enum { CONNECT_MS = 10000 };

void wr_dial_init(struct wr_dial *d, const struct wr_value *options)
{
	const struct wr_value *port = wr_value_get(options, "port");

	d->host = wr_value_str(options, "host", "localhost");
	if (port && port->tag == WR_V_STR)
		snprintf(d->port, sizeof d->port, "%s", port->str.p);
	else
		snprintf(d->port, sizeof d->port, "%d", (int)(uint16_t)wr_value_int(options, "port", 0));
	d->retries = wr_value_int(options, "retries", 0);
	d->retry_ms = wr_value_int(options, "retry_every", 500);
	d->retry_ms = d->retry_ms < INT_MAX ? d->retry_ms : INT_MAX; /* as poll() takes it */
}

/* true when stopped. */
static bool wait_stopped(int stop_fd, int ms)
{
	struct pollfd stop = {.fd = stop_fd, .events = POLLIN};

	return poll(&stop, 1, ms) > 0;
}

/* 0, or an errno; ECANCELED when stopped. */
static int connect_one(int fd, const struct addrinfo *a, int stop_fd)
{
	struct pollfd fds[2] = {{.fd = fd, .events = POLLOUT}, {.fd = stop_fd, .events = POLLIN}};
	int error = 0, ready;
	socklen_t len = sizeof error;

	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	do
		ready = poll(fds, 2, CONNECT_MS);
	while (ready < 0 && errno == EINTR);
	if (ready == 0)
		return ETIMEDOUT;
	if (ready < 0 || fds[1].revents)
		return ECANCELED;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

static int set_blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

static int try_all(const struct addrinfo *list, int stop_fd, int *fd)
{
	int error = EADDRNOTAVAIL;

	for (const struct addrinfo *a = list; a; a = a->ai_next) {
		int s = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);

		if (s < 0)
			continue;
		error = connect_one(s, a, stop_fd);
		if (error == 0 && set_blocking(s) != 0)
			error = errno;
		if (error == 0) {
			*fd = s;
			return 0;
		}
		close(s);
		if (error == ECANCELED)
			break;
	}
	return error;
}

static int dial_once(const struct wr_dial *d, int stop_fd, int *fd)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list;
	int error = getaddrinfo(d->host, d->port, &hints, &list);

	if (error)
		return wr_error_set(WR_ETRANSIENT, "cannot find %s:%s: %s", d->host, d->port,
				    gai_strerror(error));
	error = try_all(list, stop_fd, fd);
	freeaddrinfo(list);
	if (error == ECANCELED)
		return WR_END;
	return error ? wr_error_set(WR_ETRANSIENT, "cannot connect to %s:%s: %s", d->host, d->port,
				    strerror(error))
		     : WR_OK;
}

int wr_dial(const void *arg, int stop_fd, int *fd)
{
	const struct wr_dial *d = arg;
	int64_t left = d->retries;
	int rc = dial_once(d, stop_fd, fd);

	while (rc == WR_ETRANSIENT && left != 0) {
		if (wait_stopped(stop_fd, (int)d->retry_ms))
			return WR_END;
		left -= left > 0;
		rc = dial_once(d, stop_fd, fd);
	}
	return rc;
}
