/* SPDX-License-Identifier: Apache-2.0 */
/* mcode: pages of machine code are of both kinds, or protected in turn where the system refuses that. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "base/fault.h"
#include "heap/mcode.h"

enum { BYTES = 64 << 10 };

static void *map(void)
{
	void *p = wr_mcode_mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

/* What the system says of the page at p: "rwx". */
static const char *kind(const void *p)
{
	static char found[5];
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];

	assert_non_null(f);
	found[0] = 0;
	while (fgets(line, sizeof line, f)) {
		uintptr_t from, to;
		char text[5];

		if (sscanf(line, "%lx-%lx %4s", &from, &to, text) == 3 && from <= (uintptr_t)p &&
		    (uintptr_t)p < to)
			memcpy(found, text, 3);
	}
	fclose(f);
	found[3] = 0;
	return found;
}

static void machine_code_is_written_and_run_without_being_protected_in_turn(void **state)
{
	uint8_t *p = map();

	(void)state;
	assert_string_equal(kind(p), "rwx");
	assert_int_equal(wr_mcode_mprotect(p, BYTES, PROT_READ | PROT_EXEC), 0);
	assert_string_equal(kind(p), "rwx");
	p[0] = 1;
	assert_int_equal(munmap(p, BYTES), 0);
}

static void once_the_system_refuses_all_pages_are_protected_in_turn(void **state)
{
	uint8_t *before = map(), *p;

	(void)state;
	assert_int_equal(wr_fault_set("mcode.map", 1, EACCES), 0);
	p = map();
	assert_string_equal(kind(p), "rw-");
	assert_int_equal(wr_mcode_mprotect(p, BYTES, PROT_READ | PROT_EXEC), 0);
	assert_string_equal(kind(p), "r-x");
	assert_int_equal(wr_mcode_mprotect(before, BYTES, PROT_READ | PROT_EXEC), 0);
	assert_string_equal(kind(before), "r-x");
	assert_int_equal(munmap(before, BYTES), 0);
	assert_int_equal(munmap(p, BYTES), 0);
	p = map();
	assert_string_equal(kind(p), "rw-");
	assert_int_equal(munmap(p, BYTES), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(machine_code_is_written_and_run_without_being_protected_in_turn),
	    cmocka_unit_test(once_the_system_refuses_all_pages_are_protected_in_turn),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
