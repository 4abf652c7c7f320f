/* SPDX-License-Identifier: Apache-2.0 */
/* dict: the shapes of another place (a file, another process), which counts them its own way.
 *
 * Whoever writes rows out says each shape once, before the first row that has it, with
 * the id it bears there. The reader keeps which id of its own that is. Nested rows carry
 * no ids, so translating a row is one store into its header. One owner, one thread.
 */
#pragma once
#include "base/bytes.h"
#include "record/element.h"
#include "record/shape.h"

struct wr_dict {
	uint32_t *local; /* id there → id here, 0 = not said */
	uint32_t size;	 /* ids there below this have a place in `local` */
};

void wr_dict_init(struct wr_dict *d);
void wr_dict_deinit(struct wr_dict *d);
/* Appends one entry: the shape and the id it bears here. */
void wr_dict_put(struct wr_bytes *out, uint32_t id);
/* Reads one entry. Saying a shape again is fine, saying another one under the same id is WR_EUSER. */
int wr_dict_read(struct wr_dict *d, struct wr_reader *r);

/* The id here of the shape with id `there`, or 0. */
static inline uint32_t wr_dict_local(const struct wr_dict *d, uint32_t there)
{
	return there < d->size ? d->local[there] : 0;
}
/* Gives a verified row the id its shape has here; events stay as they are. */
static inline void wr_dict_translate(const struct wr_dict *d, struct wr_elem *e)
{
	if (!wr_elem_is_event(e))
		e->tag = (e->tag & ~(uint32_t)WR_SHAPE_MAX) | wr_dict_local(d, wr_elem_shape(e));
}
