/* SPDX-License-Identifier: Apache-2.0 */
/* kafka: the module "kafka" as the program sees it; see kafka.h. */
#include "module/kafka.h"
#include "base/error.h"
#include "module/module.h"

const struct wr_kafka_functions *wr_kafka_module(void)
{
	return wr_module_load("kafka", WR_KAFKA_VERSION);
}

const char *wr_kafka_property_wrong(uint32_t role, const char *name, const char *value)
{
	const struct wr_kafka_functions *m = wr_kafka_module();

	return m && m->property_check((enum wr_kafka_role)role, name, value) == WR_OK ? NULL
										      : wr_error_text();
}

uint32_t wr_kafka_property_list(uint32_t role, char *to, uint32_t size)
{
	const struct wr_kafka_functions *m = wr_kafka_module();
	struct wr_bytes names = WR_BYTES_EMPTY;
	uint32_t len = 0;

	if (m && m->property_names((enum wr_kafka_role)role, &names) == WR_OK) {
		len = names.len < size ? (uint32_t)names.len : size;
		memcpy(to, names.data, len);
	}
	wr_bytes_deinit(&names);
	return len;
}

const char *wr_kafka_pattern_wrong(const char *pattern)
{
	const struct wr_kafka_functions *m = wr_kafka_module();

	return m && m->pattern_check(pattern) == WR_OK ? NULL : wr_error_text();
}
