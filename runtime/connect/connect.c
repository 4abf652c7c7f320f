/* SPDX-License-Identifier: Apache-2.0 */
/* connect: the lists of what this folder offers, by the kinds that plans name. */
#include "connect/connect.h"
#include "connect/sources.h"

const struct wr_stage_kind wr_connect_kinds[] = {
	{"discard", &wr_discard_ops}, {"files", &wr_files_ops},	      {"print", &wr_print_ops},
	{"sequence", &wr_sequence_ops}, {"stdout", &wr_print_ops},    {"values", &wr_values_ops},
};
const unsigned wr_connect_kinds_count = sizeof wr_connect_kinds / sizeof wr_connect_kinds[0];

const struct wr_enumerator_ops *const wr_enumerators[] = {&wr_files_enumerator_ops};
const unsigned wr_enumerators_count = sizeof wr_enumerators / sizeof wr_enumerators[0];
