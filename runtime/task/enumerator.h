/* SPDX-License-Identifier: Apache-2.0 */
/* enumerator: what discovers the splits of a source, and says who reads which. One a source; its readers are
 * the source's stages. They talk by letters only. */
#pragma once
#include "record/value.h"
#include "task/letter.h"

/* Called on the coordinator's thread. Decides only; its outgoing letters are appended as actions. */
struct wr_enumerator;
struct wr_enumerator_ops {
	const char *kind; /* of the source's stage: "files" */
	/* `options` of the stage; `post` sends a letter to reader `subtask`. */
	struct wr_enumerator *(*make)(const struct wr_value *options, uint32_t parallelism,
				      void (*post)(void *arg, uint32_t subtask, uint32_t type,
						   const void *payload, uint32_t len),
				      void *arg);
	int (*letter)(struct wr_enumerator *e, uint32_t subtask, uint32_t type, const uint8_t *payload,
		      uint32_t len);
	/* Looks for new splits (start; then every `*next_ms` ms; −1 = not again). May read directories. */
	int (*discover)(struct wr_enumerator *e, int64_t *next_ms);
	/* What it still has to give out, and what it knows: one tagged value. Splits that were given out are
	 * their readers'. NULL: nothing. */
	int (*save)(const struct wr_enumerator *e, struct wr_bytes *out);
	/* Before anything else. */
	int (*restore)(struct wr_enumerator *e, const struct wr_value *saved);
	void (*free)(struct wr_enumerator *e);
};
struct wr_enumerator {
	const struct wr_enumerator_ops *ops;
};
