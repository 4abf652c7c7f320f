/* SPDX-License-Identifier: Apache-2.0 */
/* fallback: the default of a field, which a schema says in JSON, as it would be in a message. Pure. */
#pragma once
#include "avro/types.h"

/* Sets field->fallback, which lives in `arena`. WR_EUSER: the default is none of the field's type. */
int wr_avro_fallback(struct wr_avro_field *field, struct wr_arena *arena);
