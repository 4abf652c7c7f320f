/* SPDX-License-Identifier: Apache-2.0 */
/* folder: see folder.h. */
#include "control/folder.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/error.h"

enum { NAME_MAX_BYTES = 40, BACKLOG = 128 };

static const char suffix[] = ".sock";

_Static_assert(sizeof((struct sockaddr_un *)0)->sun_path == WR_SOCKET_PATH, "the system's bound");

/* ---- the folder ---- */

static int is_ours(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? WR_END : wr_error_set(WR_EUSER, "%s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return wr_error_set(WR_EUSER, "%s is no folder", path);
	if (st.st_uid != geteuid())
		return wr_error_set(WR_EUSER, "%s belongs to another user", path);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return wr_error_set(WR_EUSER, "%s can be written to by others: chmod go-w %s", path, path);
	return WR_OK;
}

int wr_control_folder(const char *chosen, bool make, char to[WR_SOCKET_PATH])
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	int n, rc;

	if (chosen)
		n = snprintf(to, WR_SOCKET_PATH, "%s", chosen);
	else if (xdg && *xdg)
		n = snprintf(to, WR_SOCKET_PATH, "%s/weir", xdg);
	else
		n = snprintf(to, WR_SOCKET_PATH, P_tmpdir "/weir-%u", (unsigned)geteuid());
	if (n >= WR_SOCKET_PATH)
		return wr_error_set(WR_EUSER,
				    "the path of the runtime directory is too long: %.60s…; "
				    "--runtime-dir names a shorter one",
				    chosen ? chosen : xdg);
	rc = is_ours(to);
	if (rc != WR_END || !make)
		return rc;
	if (mkdir(to, S_IRWXU) && errno != EEXIST)
		return wr_error_set(WR_EUSER, "cannot make %s: %s", to, strerror(errno));
	return is_ours(to);
}

/* ---- names ---- */

void wr_control_id_of(const char *job, int64_t pid, char to[WR_SOCKET_ID])
{
	int n = 0;

	for (; *job && n < NAME_MAX_BYTES; job++)
		to[n++] = isalnum((unsigned char)*job) || *job == '-' ? *job : '_';
	snprintf(to + n, (size_t)(WR_SOCKET_ID - n), "-%lld", (long long)pid);
}

int wr_control_path(const char *folder, const char *prefix, const char *id, char to[WR_SOCKET_PATH])
{
	if (snprintf(to, WR_SOCKET_PATH, "%s/%s%s%s", folder, prefix, id, suffix) >= WR_SOCKET_PATH)
		return wr_error_set(
		    WR_EUSER, "%s is too long a path for sockets; --runtime-dir names a shorter one", folder);
	return WR_OK;
}

/* ---- sockets ---- */

static int at_path(int fd, const char *path, int (*call)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, path, strlen(path) + 1);
	return call(fd, (const struct sockaddr *)&address, sizeof address);
}

int wr_control_listen(const char *folder, const char *id)
{
	char path[WR_SOCKET_PATH], hidden[WR_SOCKET_PATH];
	int fd;

	if (wr_control_path(folder, "", id, path) != WR_OK ||
	    wr_control_path(folder, ".", id, hidden) != WR_OK)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0) {
		unlink(hidden);
		if (!at_path(fd, hidden, bind) && !chmod(hidden, S_IRUSR | S_IWUSR) && !listen(fd, BACKLOG) &&
		    !rename(hidden, path))
			return fd;
	}
	wr_error_set(WR_EUSER, "%s: %s", path, strerror(errno));
	if (fd >= 0) {
		unlink(hidden);
		close(fd);
	}
	return -1;
}

int wr_control_connect(const char *folder, const char *id)
{
	char path[WR_SOCKET_PATH];
	int fd, error;

	if (wr_control_path(folder, "", id, path) != WR_OK)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && !at_path(fd, path, connect))
		return fd;
	error = errno;
	if (fd >= 0)
		close(fd);
	if (error == ECONNREFUSED)
		unlink(path);
	wr_error_set(WR_EUSER, "%s: %s", id,
		     error == ECONNREFUSED || error == ENOENT ? "it has ended" : strerror(error));
	return -1;
}

/* ---- who is there ---- */

/* The process of a socket's file name; *len is that of the id. */
static bool parse(const char *name, size_t *len, int64_t *pid)
{
	size_t all = strlen(name), digits = 0;

	if (all < sizeof suffix || strcmp(name + all - (sizeof suffix - 1), suffix))
		return false;
	*len = all - (sizeof suffix - 1);
	while (digits < *len && isdigit((unsigned char)name[*len - digits - 1]))
		digits++;
	if (!digits || digits > 18 || digits == *len || name[*len - digits - 1] != '-')
		return false;
	*pid = strtoll(name + *len - digits, NULL, 10);
	return *len < WR_SOCKET_ID;
}

int wr_control_each(const char *folder, int (*each)(void *arg, const struct wr_control_entry *e), void *arg)
{
	DIR *dir = opendir(folder);
	int rc = WR_OK;

	if (!dir)
		return errno == ENOENT ? WR_OK : wr_error_set(WR_EUSER, "%s: %s", folder, strerror(errno));
	for (const struct dirent *d; rc == WR_OK && (d = readdir(dir));) {
		char id[WR_SOCKET_ID];
		int64_t pid;
		size_t len;

		if (!parse(d->d_name, &len, &pid))
			continue;
		if (kill((pid_t)pid, 0) && errno == ESRCH) {
			unlinkat(dirfd(dir), d->d_name, 0);
		} else if (*d->d_name != '.') {
			memcpy(id, d->d_name, len);
			id[len] = 0;
			rc = each(arg, &(struct wr_control_entry){id, pid});
		}
	}
	closedir(dir);
	return rc;
}
