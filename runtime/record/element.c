/* SPDX-License-Identifier: Apache-2.0 */
/* element: checking what came from outside the process. */
#include "record/element.h"

#include "base/error.h"
#include "record/row.h"

int wr_elem_verify(const uint8_t *p, size_t len, const struct wr_shapes *shapes)
{
	const struct wr_elem *e = (const struct wr_elem *)p;
	uint32_t shape;

	(void)shapes;
	if (len < WR_ELEM_HEADER || e->len < WR_ELEM_HEADER || e->len > len || e->len % WR_ELEM_ALIGN)
		return wr_error_set(WR_EUSER, "malformed element: length %u of %zu bytes",
				    len < WR_ELEM_HEADER ? 0 : e->len, len);
	shape = wr_elem_shape(e);
	if (!shape) {
		unsigned type = wr_event_type(e);

		if (type == 0 || type > WR_EV_TYPE_MAX)
			return wr_error_set(WR_EUSER,
					    "unknown event type %u: written by a newer version of Weir?", type);
		return WR_OK;
	}
	if (e->tag >> 26 || shape > wr_shape_count())
		return wr_error_set(WR_EUSER, "malformed element: tag %08x", e->tag);
	return wr_row_verify(wr_shape(shape), wr_elem_body(e), wr_elem_body_len(e));
}
