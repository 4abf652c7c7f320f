/* SPDX-License-Identifier: Apache-2.0 */
/* rows: messages as rows, by the formats of their values and keys. On the task's thread.
 *
 * Options of the source: those of format/decoder.h for values, `key` = such options for keys; meta: rows are
 * { value=, key=, topic=, partition=, offset=, timestamp=, headers={ name = value, … } }, a key or headers
 * that are not there left out. A message without a value (a tombstone) is, or has, the value null.
 */
#pragma once
#include "task/stage.h"

struct rd_kafka_message_s;
struct wr_kafka_rows;
/* NULL with the error set. */
struct wr_kafka_rows *wr_kafka_rows_new(struct wr_stage *s);
void wr_kafka_rows_free(struct wr_kafka_rows *r);
/* Emits the row of a message of `topic`, whose time is the message's. One that cannot be decoded follows the
 * stage's on_error: its dead letter has topic, partition, offset, timestamp, key and value as they are.
 * WR_OK; WR_AGAIN: nothing was emitted, it can be read when something came that was asked for, which wakes
 * the task; or an error to stop with. */
int wr_kafka_rows_put(struct wr_kafka_rows *r, const char *topic, const struct rd_kafka_message_s *m);
