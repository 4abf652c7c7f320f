/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_properties_fuzz: input is the name of a property, a zero and its value. What is let in for a client,
 * a configuration takes; what is not has an error.
 */
#include <librdkafka/rdkafka.h>
#include "base/assert.h"
#include "base/error.h"
#include "kafka/properties.h"

static void try(enum wr_kafka_role role, const char *name, const char *value)
{
	struct wr_value key = {.tag = WR_V_STR, .str = {name, (uint32_t)strlen(name)}};
	struct wr_value item = {.tag = WR_V_STR, .str = {value, (uint32_t)strlen(value)}};
	struct wr_value properties = {.tag = WR_V_RECORD, .count = 1, .keys = &key, .items = &item};
	struct wr_value keys[] = {{.tag = WR_V_STR, .str = {"brokers", 7}},
				  {.tag = WR_V_STR, .str = {"properties", 10}}};
	struct wr_value items[] = {{.tag = WR_V_STR, .str = {"localhost:1", 11}}, properties};
	struct wr_value options = {.tag = WR_V_RECORD, .count = 2, .keys = keys, .items = items};
	struct rd_kafka_conf_s *conf;
	int rc = wr_kafka_property_check(role, name, value);

	WR_ASSERT(rc == WR_OK || (rc == WR_EUSER && *wr_error_text()));
	if (rc != WR_OK)
		return;
	conf = wr_kafka_conf_new(role, &options, "fuzz");
	WR_ASSERT(conf);
	wr_kafka_conf_free(conf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wr_bytes text = WR_BYTES_EMPTY;
	const char *name, *value;

	if (len)
		wr_bytes_put(&text, data, len);
	wr_bytes_put(&text, "\0", 2);
	name = (const char *)text.data;
	value = name + strlen(name) + 1;
	if (strcmp(name, "plugin.library.paths") != 0) { /* which loads what the value names */
		try(WR_KAFKA_CONSUMER, name, value);
		try(WR_KAFKA_PRODUCER, name, value);
	}
	wr_bytes_deinit(&text);
	return 0;
}
