/* SPDX-License-Identifier: Apache-2.0 */
/* element: checking elements that came from outside the process; see element.h. */
#include <inttypes.h>
#include "base/assert.h"
#include "base/error.h"
#include "record/dict.h"
#include "record/row.h"

static int verify_event(const struct wr_elem *e)
{
	unsigned type = wr_event_type(e);
	bool may_have_word = type == WR_EV_BARRIER || type == WR_EV_LATENCY;

	if (type == 0 || type > WR_EV_TYPE_MAX)
		return wr_error_set(WR_EUSER, "an event of type %u, which this version does not know", type);
	if (e->len != WR_ELEM_HEADER && !(may_have_word && e->len == WR_ELEM_HEADER + 8))
		return wr_error_set(WR_EUSER, "an event of type %u with %" PRIu32 " bytes", type, e->len);
	return WR_OK;
}

static int verify_row(const struct wr_elem *e, const struct wr_dict *dict)
{
	uint32_t id = wr_elem_shape(e), local = dict ? wr_dict_local(dict, id) : id;
	const struct wr_shape *s = local ? wr_shape(local) : NULL;

	if (!s)
		return wr_error_set(WR_EUSER, "a row of shape %" PRIu32 ", which was not said before", id);
	if (e->tag >> 24 > WR_DELETE)
		return wr_error_set(WR_EUSER, "a row of kind %" PRIu32, e->tag >> 24);
	return wr_row_verify(s, wr_elem_body(e), wr_elem_body_len(e));
}

int wr_elem_verify(const uint8_t *p, size_t len, const struct wr_dict *dict)
{
	const struct wr_elem *e = (const struct wr_elem *)p;

	WR_ASSERT((uintptr_t)p % WR_ELEM_ALIGN == 0);
	if (len < WR_ELEM_HEADER)
		return wr_error_set(WR_EUSER, "an element is cut off");
	if (e->len < WR_ELEM_HEADER || e->len > len || e->len % WR_ELEM_ALIGN != 0)
		return wr_error_set(WR_EUSER, "an element of %" PRIu32 " bytes where %zu are left", e->len,
				    len);
	return wr_elem_is_event(e) ? verify_event(e) : verify_row(e, dict);
}
