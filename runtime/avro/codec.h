/* SPDX-License-Identifier: Apache-2.0 */
/* codec: the format "avro" of messages, as the program calls it (module/codec.h).
 *
 * Options, all texts but the last: `schema` of records; `writer_schema`, of messages that were written by
 * another; `registry`, its address: messages begin with a byte 0 and the number of their schema (4 bytes, the
 * highest first), and `schema` may be missing; `subject` that a sink's schema is registered under, or taken
 * from; `timeout`, milliseconds of a question to the registry.
 *
 * A message whose number is new to a reader stops its thread until the registry has answered, for `timeout`
 * at most; numbers are remembered, those that the registry does not know for ten seconds.
 */
#pragma once
#include "module/codec.h"

extern const struct wr_codec wr_avro_codec;
