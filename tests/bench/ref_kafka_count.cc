/* SPDX-License-Identifier: Apache-2.0 */
/* ref_kafka_count: JSON from a topic, those of status 200, counted by user in windows of ten seconds, as JSON
 * into a topic: what kafka_count.lua does, by librdkafka and simdjson alone. usage: ref_kafka_count BROKERS
 * FROM TO
 *
 * Records are in the order of their time, so that a window is over when the next one begins. It is C++
 * because simdjson is.
 */
#include "ref_kafka.h"

#include <simdjson.h>
#include <string>
#include <string_view>

enum { WINDOW_MS = 10000, SLOTS = 1 << 16 };

struct slot {
	char user[24];
	uint32_t len, count;
};

static slot slots[SLOTS];
static int64_t window = -1;
static rd_kafka_t *rk;
static rd_kafka_topic_t *to;

static void end_window()
{
	char text[128];

	for (slot &s : slots) {
		if (!s.count)
			continue;
		int n = snprintf(text, sizeof text,
				 "{\"n\":%u,\"user\":\"%.*s\",\"window_end\":%" PRId64
				 ",\"window_start\":%" PRId64 "}",
				 s.count, (int)s.len, s.user, window + WINDOW_MS, window);
		ref_produce(rk, to, text, (size_t)n);
		s.count = 0;
	}
	rd_kafka_poll(rk, 0);
}

static void count(std::string_view user)
{
	size_t at = std::hash<std::string_view>{}(user) % SLOTS;

	while (slots[at].len && std::string_view(slots[at].user, slots[at].len) != user)
		at = (at + 1) % SLOTS;
	if (!slots[at].len) {
		if (user.size() > sizeof slots[at].user)
			ref_die("user", "too long");
		memcpy(slots[at].user, user.data(), user.size());
		slots[at].len = (uint32_t)user.size();
	}
	slots[at].count++;
}

static void take(simdjson::ondemand::parser &parser, std::string &text, const rd_kafka_message_t *m)
{
	text.assign((const char *)m->payload, m->len);
	simdjson::ondemand::document doc =
	    parser.iterate(simdjson::padded_string_view(text.data(), m->len, text.capacity()));
	simdjson::ondemand::object record = doc.get_object();
	std::string_view user = record["user"].get_string();

	if (record["status"].get_int64().value() != 200)
		return;
	int64_t ts = record["ts"].get_int64();

	if (ts - ts % WINDOW_MS != window) {
		if (window >= 0)
			end_window();
		window = ts - ts % WINDOW_MS;
	}
	count(user);
}

int main(int argc, char **argv)
{
	static ref_reader in;
	simdjson::ondemand::parser parser;
	std::string text;
	bool ended = false;

	if (argc < 4)
		ref_die("usage", "ref_kafka_count BROKERS FROM TO");
	text.reserve(65536);
	rk = ref_open(RD_KAFKA_PRODUCER, ref_conf(argv[1]));
	to = ref_topic(rk, argv[3]);
	ref_reader_open(&in, argv[1], argv[2], true);
	while (!ended) {
		size_t n = ref_read(&in, 100, &ended);

		for (size_t i = 0; i < n; i++) {
			take(parser, text, in.batch[i]);
			rd_kafka_message_destroy(in.batch[i]);
		}
	}
	if (window >= 0)
		end_window();
	ref_reader_close(&in);
	ref_flush(rk);
	rd_kafka_topic_destroy(to);
	rd_kafka_destroy(rk);
	return 0;
}
