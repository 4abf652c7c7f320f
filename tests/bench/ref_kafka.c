/* SPDX-License-Identifier: Apache-2.0 */
/* ref_kafka: plain programs on librdkafka around one partition, beside which jobs are measured.
 *
 *   ref_kafka BROKERS fill TOPIC RECORDS              JSON records of 150 bytes, the same each time
 *   ref_kafka BROKERS copy FROM TO none|acks|commits  until the end; commits: a transaction a second, with
 * offsets ref_kafka BROKERS relay FROM TO COUNT LINGER_MS   copies as they come ref_kafka BROKERS pace TOPIC
 * COUNT RATE           messages that begin with the time when they were due ref_kafka BROKERS delays TOPIC
 * COUNT SKIP         prints how long after that they are here, in µs
 */
#include "ref_kafka.h"

#include <poll.h>
#include "ref.h"

enum { RECORD = 150, COMMIT_MS = 1000, PACE_MS = 1 };

static const char *brokers;
static uint64_t lost;

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	(void)rk, (void)opaque;
	lost += m->err != 0;
}

static rd_kafka_t *producer(const char *guarantee, const char *topic)
{
	rd_kafka_conf_t *conf = ref_conf(brokers);

	if (strcmp(guarantee, "none") != 0) {
		ref_set(conf, "enable.idempotence", "true");
		rd_kafka_conf_set_dr_msg_cb(conf, delivered);
	}
	if (!strcmp(guarantee, "commits"))
		ref_set(conf, "transactional.id", topic);
	return ref_open(RD_KAFKA_PRODUCER, conf);
}

static int end(rd_kafka_t *rk, rd_kafka_topic_t *topic)
{
	ref_flush(rk);
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(rk);
	if (lost)
		ref_die("produce", "messages were not delivered");
	return 0;
}

/* ---- fill ---- */

static const char *const pages[] = {"https://shop.example.org/headphones/wireless?color=black&page=2",
				    "https://shop.example.org/products/keyboards/mechanical?switch=brown",
				    "https://shop.example.org/account/settings/notifications?from=mail",
				    "https://shop.example.org/search?q=second+hand+bicycle&sort=price"};

static int fill(const char *name, uint64_t records)
{
	rd_kafka_conf_t *conf = ref_conf(brokers);
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	char text[RECORD + 1];

	ref_set(conf, "linger.ms", "20");
	rk = ref_open(RD_KAFKA_PRODUCER, conf);
	topic = ref_topic(rk, name);
	for (uint64_t i = 0; i < records; i++) {
		int n =
		    snprintf(text, sizeof text,
			     "{\"user\":\"user%" PRIu64 "\",\"page\":\"%s\",\"status\":%s,\"took\":%" PRIu64
			     ".%" PRIu64 ",\"ts\":%" PRIu64,
			     random_below(1, i, 1000), pages[random_below(2, i, 4)],
			     random_below(3, i, 10) ? "200" : "404", random_below(4, i, 1000),
			     random_below(5, i, 9) + 1, UINT64_C(1700000000000) + i / 10);

		if (n >= RECORD)
			ref_die("fill", text);
		memset(text + n, ' ', (size_t)(RECORD - n));
		text[RECORD - 1] = '}';
		ref_produce(rk, topic, text, RECORD);
		if (i % REF_BATCH == 0)
			rd_kafka_poll(rk, 0);
	}
	return end(rk, topic);
}

/* ---- copy ---- */

static void commit(rd_kafka_t *rk, struct ref_reader *from, const char *topic, int64_t offset)
{
	rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
	rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(from->rk);

	rd_kafka_topic_partition_list_add(offsets, topic, 0)->offset = offset;
	ref_check_error("offsets", rd_kafka_send_offsets_to_transaction(rk, offsets, group, REF_PATIENCE_MS));
	ref_check_error("commit", rd_kafka_commit_transaction(rk, REF_PATIENCE_MS));
	rd_kafka_consumer_group_metadata_destroy(group);
	rd_kafka_topic_partition_list_destroy(offsets);
}

static int copy(const char *from, const char *to, const char *guarantee)
{
	struct ref_reader in;
	rd_kafka_t *rk = producer(guarantee, to);
	rd_kafka_topic_t *topic = ref_topic(rk, to);
	bool commits = !strcmp(guarantee, "commits"), ended = false;
	uint64_t next_ns = now_ns() + COMMIT_MS * UINT64_C(1000000);
	int64_t offset = 0;

	ref_reader_open(&in, brokers, from, true);
	if (commits) {
		ref_check_error("init", rd_kafka_init_transactions(rk, REF_PATIENCE_MS));
		ref_check_error("begin", rd_kafka_begin_transaction(rk));
	}
	while (!ended) {
		size_t n = ref_read(&in, 100, &ended);

		for (size_t i = 0; i < n; i++) {
			ref_produce(rk, topic, in.batch[i]->payload, in.batch[i]->len);
			offset = in.batch[i]->offset + 1;
			rd_kafka_message_destroy(in.batch[i]);
		}
		rd_kafka_poll(rk, 0);
		if (commits && (ended || now_ns() > next_ns)) {
			next_ns = now_ns() + COMMIT_MS * UINT64_C(1000000);
			commit(rk, &in, from, offset);
			if (!ended)
				ref_check_error("begin", rd_kafka_begin_transaction(rk));
		}
	}
	ref_reader_close(&in);
	return end(rk, topic);
}

static int relay(const char *from, const char *to, uint64_t count, const char *linger_ms)
{
	rd_kafka_conf_t *conf = ref_conf(brokers);
	struct ref_reader in;
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	bool ended = false;

	ref_set(conf, "linger.ms", linger_ms);
	rk = ref_open(RD_KAFKA_PRODUCER, conf);
	topic = ref_topic(rk, to);
	ref_reader_open(&in, brokers, from, false);
	/* Not in batches: they are given when they are full, or when the time to wait is over. */
	for (uint64_t done = 0; done < count;) {
		size_t n = ref_read(&in, 0, &ended);

		for (size_t i = 0; i < n; i++) {
			ref_produce(rk, topic, in.batch[i]->payload, in.batch[i]->len);
			rd_kafka_message_destroy(in.batch[i]);
		}
		done += n;
		rd_kafka_poll(rk, n ? 0 : 1);
	}
	ref_reader_close(&in);
	return end(rk, topic);
}

/* ---- latency ---- */

static int pace(const char *name, uint64_t count, uint64_t rate)
{
	rd_kafka_conf_t *conf = ref_conf(brokers);
	uint64_t start = ref_clock_ns(CLOCK_REALTIME) + 1000000;
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	char text[RECORD];

	ref_set(conf, "linger.ms", "0");
	rk = ref_open(RD_KAFKA_PRODUCER, conf);
	topic = ref_topic(rk, name);
	memset(text, '.', sizeof text);
	for (uint64_t i = 0; i < count;) {
		uint64_t now = ref_clock_ns(CLOCK_REALTIME);

		for (; i < count && start + i * 1000000000 / rate <= now; i++) {
			snprintf(text, sizeof text, "%020" PRIu64, start + i * 1000000000 / rate);
			text[20] = '.';
			ref_produce(rk, topic, text, sizeof text);
		}
		rd_kafka_poll(rk, 0);
		poll(NULL, 0, PACE_MS);
	}
	return end(rk, topic);
}

static int ascending(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int delays(const char *name, uint64_t count, uint64_t skip)
{
	struct ref_reader in;
	uint32_t *took_us = need((count + REF_BATCH) * sizeof *took_us);
	uint64_t done = 0, n;
	bool ended = false;

	ref_reader_open(&in, brokers, name, false);
	while (done < count) {
		rd_kafka_message_t *m = rd_kafka_consume_queue(in.queue, 1000);
		uint64_t now = ref_clock_ns(CLOCK_REALTIME);

		if (!m)
			continue;
		if (!m->err)
			took_us[done++] = (uint32_t)((now - strtoull(m->payload, NULL, 10)) / 1000);
		rd_kafka_message_destroy(m);
	}
	(void)ended;
	ref_reader_close(&in);
	n = count - skip;
	qsort(took_us + skip, n, sizeof *took_us, ascending);
	printf("{\"p50\":%u,\"p99\":%u,\"p999\":%u,\"max\":%u}\n", took_us[skip + n / 2],
	       took_us[skip + n * 99 / 100], took_us[skip + n * 999 / 1000], took_us[count - 1]);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 4 ? argv[2] : "";

	brokers = argc > 1 ? argv[1] : "";
	if (!strcmp(what, "fill"))
		return fill(argv[3], argument(argc, argv, 4, 0));
	if (!strcmp(what, "copy") && argc > 5)
		return copy(argv[3], argv[4], argv[5]);
	if (!strcmp(what, "relay") && argc > 6)
		return relay(argv[3], argv[4], argument(argc, argv, 5, 0), argv[6]);
	if (!strcmp(what, "pace") && argc > 5)
		return pace(argv[3], argument(argc, argv, 4, 0), argument(argc, argv, 5, 0));
	if (!strcmp(what, "delays") && argc > 5)
		return delays(argv[3], argument(argc, argv, 4, 0), argument(argc, argv, 5, 0));
	ref_die("ref_kafka", "arguments: see the head of tests/bench/ref_kafka.c");
}
