/* SPDX-License-Identifier: Apache-2.0 */
/* pipe: see pipe.h. What fits PIPE_BUF goes in wholly or not at all (POSIX, write()). */
#include "stream/pipe.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

bool wr_is_pipe(int fd)
{
	struct stat s;

	return fstat(fd, &s) == 0 && S_ISFIFO(s.st_mode);
}

static size_t put_lines(int fd, const char *text, size_t len)
{
	size_t at = 0;

	while (at < len) {
		size_t most = len - at < PIPE_BUF ? len - at : PIPE_BUF;
		const char *end = memrchr(text + at, '\n', most);
		struct iovec v = {(char *)text + at, end ? (size_t)(end + 1 - text) - at : 0};

		if (!end)
			errno = EMSGSIZE;
		if (!end || pwritev2(fd, &v, 1, -1, RWF_NOWAIT) < 0)
			break;
		at += v.iov_len;
	}
	return at;
}

size_t wr_pipe_put_lines(int fd, const char *text, size_t len)
{
	sigset_t pipe, before;
	size_t done;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &before);
	done = put_lines(fd, text, len);
	if (done < len && errno == EPIPE && !sigismember(&before, SIGPIPE))
		sigtimedwait(&pipe, NULL, &(struct timespec){0});
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return done;
}
