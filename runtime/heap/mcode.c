/* SPDX-License-Identifier: Apache-2.0 */
/* mcode: see mcode.h. */
#include "heap/mcode.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include "base/fault.h"

static _Atomic bool refused; /* by the system's policy: for good */

void *wr_mcode_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	void *p = MAP_FAILED;

	if (!WR_FAULT("mcode.map", NULL) && !atomic_load(&refused))
		p = mmap(at, bytes, prot | PROT_WRITE | PROT_EXEC, flags, fd, offset);
	if (p != MAP_FAILED)
		return p;
	p = mmap(at, bytes, prot, flags, fd, offset);
	if (p != MAP_FAILED)
		atomic_store(&refused, true);
	return p;
}

void *wr_mcode_mmap64(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	return wr_mcode_mmap(at, bytes, prot, flags, fd, offset);
}

/* Once refused, pages of both kinds that there are become what LuaJIT takes them for. */
int wr_mcode_mprotect(void *at, size_t bytes, int prot)
{
	return atomic_load(&refused) ? mprotect(at, bytes, prot) : 0;
}
