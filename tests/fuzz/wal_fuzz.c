/* SPDX-License-Identifier: Apache-2.0 */
/* wal_fuzz: a segment of a write-ahead log. However its end was torn, opening it puts an end to it or says
 * that it is damaged; what is read then is the same each time, whole lines of what was written, and is not
 * changed by opening it again. Checksums are put right first (first byte odd).
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/assert.h"
#include "base/bytes.h"
#include "base/error.h"
#include "wal/wal.h"
#include "wal/wal_block.h"

static char folder[64], path[128];

static void mend(uint8_t *p, size_t len)
{
	struct wr_wal_head head;

	while (len >= sizeof head) {
		memcpy(&head, p, sizeof head);
		if (head.len > len - sizeof head)
			return;
		head.sum = wr_wal_sum(&head, p + sizeof head);
		memcpy(p, &head, sizeof head);
		p += sizeof head + head.len;
		len -= sizeof head + head.len;
	}
}

static void put_segment(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len);
	int fd;

	memcpy(copy, data + 1, len - 1);
	if (data[0] & 1)
		mend(copy, len - 1);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	WR_ASSERT(fd >= 0 && write(fd, copy, len - 1) == (ssize_t)(len - 1));
	close(fd);
	free(copy);
}

/* WR_END: the whole session is in `out`. */
static int read_log(struct wr_bytes *out)
{
	struct wr_wal *w = wr_wal_open(folder, 1 << 20);
	struct wr_feed *f;
	bool none = true;
	size_t got;
	int rc;

	out->len = 0;
	if (!w)
		return wr_error_code();
	f = wr_wal_read(w, 1, 0, &none);
	rc = f ? WR_OK : none ? WR_END : wr_error_code();
	while (rc == WR_OK) {
		rc = f->ops->read(f, wr_bytes_room(out, 64), 64, &got);
		out->len += rc == WR_OK ? got : 0;
	}
	wr_feed_free(f);
	wr_wal_free(w);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wr_bytes once = WR_BYTES_EMPTY, twice = WR_BYTES_EMPTY;
	int rc, again;

	if (len < 1)
		return 0;
	if (!*folder) {
		snprintf(folder, sizeof folder, "/dev/shm/weir-fuzz-XXXXXX");
		WR_ASSERT(mkdtemp(folder));
		snprintf(path, sizeof path, "%s/00000001-000000000000.wal", folder);
	}
	put_segment(data, len);
	rc = read_log(&once);
	again = read_log(&twice);
	WR_ASSERT(rc == again && once.len == twice.len);
	WR_ASSERT(!once.len || !memcmp(once.data, twice.data, once.len));
	WR_ASSERT(once.len <= len);
	wr_bytes_deinit(&once);
	wr_bytes_deinit(&twice);
	unlink(path);
	return 0;
}
