/* SPDX-License-Identifier: Apache-2.0 */
/* poor_folder: loaded in front of the C library (LD_PRELOAD), it makes every file system one that has no hard
 * links and cannot rename only where a name is free, as FAT or a share may be. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static int refuse(int err)
{
	errno = err;
	return -1;
}

int link(const char *from, const char *to)
{
	(void)from;
	(void)to;
	return refuse(EPERM);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	(void)from_fd;
	(void)from;
	(void)to_fd;
	(void)to;
	(void)flags;
	return refuse(EPERM);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	return flags ? refuse(EINVAL) : renameat(from_fd, from, to_fd, to);
}
