/* SPDX-License-Identifier: Apache-2.0 */
/* letter_fuzz: input is one letter. What is let in must be written again as the same bytes, but for an older
 * version, which becomes ours; its payload must be none or one tagged value.
 */
#include <string.h>
#include "base/assert.h"
#include "base/error.h"
#include "record/value.h"
#include "task/letter.h"

enum { VERSION_AT = 3 }; /* behind the list's tag and length, and the integer's tag */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wr_reader r = wr_reader_of(data, len), payload;
	struct wr_bytes again = WR_BYTES_EMPTY;
	struct wr_letter *l = wr_letter_decode(&r);
	struct wr_trigger trigger;
	struct wr_ack ack;

	if (!l)
		return 0;
	payload = wr_reader_of(l->payload, l->len);
	WR_ASSERT(!l->len || (wr_value_verify(&payload) == WR_OK && payload.p == payload.end));
	wr_trigger_parse(l->payload, l->len, &trigger);
	wr_ack_parse(l->payload, l->len, &ack);
	wr_letter_int(l->payload, l->len);
	wr_letter_encode(l, &again);
	WR_ASSERT(again.len > VERSION_AT + sizeof(int64_t));
	memcpy(again.data + VERSION_AT, data + VERSION_AT, sizeof(int64_t));
	WR_ASSERT(again.len == (size_t)(r.p - data) && memcmp(again.data, data, again.len) == 0);
	wr_bytes_deinit(&again);
	wr_letter_free(l);
	return 0;
}
