/* SPDX-License-Identifier: Apache-2.0 */
/* field_path: see field_path.h. */
#include "record/field_path.h"

#include <inttypes.h>
#include <stdio.h>

bool wr_field_path_enter(struct wr_field_path *p)
{
	if (p->depth == WR_DEPTH_MAX)
		return false;
	p->steps[p->depth++] = (struct wr_field_step){{NULL, 0}, 0};
	return true;
}

const char *wr_field_path_text(const struct wr_field_path *p, char text[WR_FIELD_PATH_TEXT])
{
	size_t len = 0;

	text[0] = 0;
	for (uint32_t i = 0; i < p->depth && len < WR_FIELD_PATH_TEXT - 1; i++) {
		const struct wr_field_step *s = &p->steps[i];
		size_t room = WR_FIELD_PATH_TEXT - len;
		int n = s->name.p ? snprintf(text + len, room, "%s%.*s", len ? "." : "", (int)s->name.len,
					     s->name.p)
				  : snprintf(text + len, room, "[%" PRId64 "]", s->item);

		len += n > 0 ? (size_t)n : 0;
	}
	return text;
}
