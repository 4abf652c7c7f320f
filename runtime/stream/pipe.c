/* SPDX-License-Identifier: Apache-2.0 */
/* pipe: see pipe.h. */
#include "stream/pipe.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

bool wr_is_pipe(int fd)
{
	struct stat s;

	return fstat(fd, &s) == 0 && S_ISFIFO(s.st_mode);
}

ssize_t wr_pipe_write(int fd, const void *data, size_t len)
{
	struct iovec v = {(void *)(uintptr_t)data, len};
	sigset_t pipe, before;
	ssize_t n;
	int code;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &before);
	n = pwritev2(fd, &v, 1, -1, RWF_NOWAIT);
	code = errno;
	if (n < 0 && code == EPIPE && !sigismember(&before, SIGPIPE))
		sigtimedwait(&pipe, NULL, &(struct timespec){0});
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = code;
	return n;
}
