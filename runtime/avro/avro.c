/* SPDX-License-Identifier: Apache-2.0 */
/* avro: the module "avro": what it offers to the program (module/codec.h). */
#include "avro/codec.h"
#include "module/module.h"

const struct wr_module wr_module = {.version = WR_CODEC_VERSION, .functions = &wr_avro_codec};
