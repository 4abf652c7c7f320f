/* SPDX-License-Identifier: Apache-2.0 */
/* blobs_memory_test: blobs in memory keep what checkpoint/blobs.h promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/error.h"
#include "checkpoint/blobs.h"

static void write_blob(struct wr_blobs *b, const char *id, const char *text)
{
	struct wr_blob *blob = b->ops->begin(b, id);

	assert_non_null(blob);
	assert_int_equal(blob->ops->append(blob, text, strlen(text)), WR_OK);
	assert_int_equal(blob->bytes, strlen(text));
	assert_int_equal(blob->ops->commit(blob), WR_OK);
}

static void expect_text(struct wr_blobs *b, const char *id, const char *text)
{
	struct wr_blob_view view;

	assert_int_equal(b->ops->open(b, id, &view), WR_OK);
	assert_int_equal(view.len, strlen(text));
	assert_memory_equal(view.data, text, view.len);
	b->ops->close(b, &view);
	assert_null(view.data);
}

static void expect_none(struct wr_blobs *b, const char *id)
{
	struct wr_blob_view view;

	assert_int_equal(b->ops->open(b, id, &view), WR_END);
}

static void a_blob_is_there_once_it_is_committed(void **state)
{
	struct wr_blobs *b = wr_blobs_memory();
	struct wr_blob *blob = b->ops->begin(b, "chk-1/0-0.state");

	(void)state;
	assert_int_equal(blob->ops->append(blob, "ab", 2), WR_OK);
	expect_none(b, "chk-1/0-0.state");
	assert_int_equal(blob->ops->append(blob, "cd", 2), WR_OK);
	assert_int_equal(blob->ops->commit(blob), WR_OK);
	expect_text(b, "chk-1/0-0.state", "abcd");
	write_blob(b, "chk-1/0-0.state", "new");
	expect_text(b, "chk-1/0-0.state", "new");
	blob = b->ops->begin(b, "other");
	blob->ops->discard(blob);
	expect_none(b, "other");
	b->ops->free(b);
}

static void what_is_published_is_not_published_again(void **state)
{
	struct wr_blobs *b = wr_blobs_memory();

	(void)state;
	assert_int_equal(b->ops->publish(b, "manifest", "one", 3), WR_OK);
	assert_int_equal(b->ops->publish(b, "manifest", "two", 3), WR_EUSER);
	assert_non_null(strstr(wr_error_text(), "manifest is there already"));
	expect_text(b, "manifest", "one");
	b->ops->free(b);
}

static struct wr_blobs *listed;
static char names[256];

static int note(void *arg, const char *name)
{
	size_t len = strlen(names);

	(void)arg;
	snprintf(names + len, sizeof names - len, "%s ", name);
	return WR_OK;
}

static int remove_each(void *folder, const char *name)
{
	char id[128];

	snprintf(id, sizeof id, "%s/%s", (const char *)folder, name);
	return listed->ops->remove(listed, id);
}

static void a_folder_lists_each_name_once_and_may_lose_it_meanwhile(void **state)
{
	struct wr_blobs *b = listed = wr_blobs_memory();

	(void)state;
	write_blob(b, "chk-1/a", "1");
	write_blob(b, "chk-1/b", "2");
	write_blob(b, "chk-10/c", "3");
	write_blob(b, "lock", "4");
	names[0] = 0;
	assert_int_equal(b->ops->list(b, "", note, NULL), WR_OK);
	assert_string_equal(names, "chk-1 chk-10 lock ");
	names[0] = 0;
	assert_int_equal(b->ops->list(b, "chk-1", note, NULL), WR_OK);
	assert_string_equal(names, "a b ");
	assert_int_equal(b->ops->list(b, "chk-1", remove_each, (void *)(uintptr_t) "chk-1"), WR_OK);
	names[0] = 0;
	assert_int_equal(b->ops->list(b, "chk-1", note, NULL), WR_OK);
	assert_string_equal(names, "");
	assert_int_equal(b->ops->remove(b, "chk-1"), WR_OK);
	assert_int_equal(b->ops->list(b, "chk-9", note, NULL), WR_OK);
	expect_text(b, "chk-10/c", "3");
	b->ops->free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_blob_is_there_once_it_is_committed),
	    cmocka_unit_test(what_is_published_is_not_published_again),
	    cmocka_unit_test(a_folder_lists_each_name_once_and_may_lose_it_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
