/* SPDX-License-Identifier: Apache-2.0 */
/* remote: how it stands with the servers that a stage reads from or writes to: whether one is reached, and
 * how much waits there to be read. The stage makes it, whoever learns of something says so, and any thread
 * may look; it is found by the counters of the stage's first operator.
 */
#pragma once
#include <stdatomic.h>
#include "base/bytes.h"

enum { WR_REMOTE_TEXT = 200 };

/* Plain values: those of one stage, or of several, added up. */
struct wr_remote_view {
	uint32_t splits;       /* that are read */
	uint32_t held;	       /* of them wait for others of their alignment group */
	uint64_t lag, lag_max; /* what is there and was not read yet: of all splits; of the one with most */
	char lag_of[WR_REMOTE_TEXT]; /* that one; "" = nothing waits */
	uint64_t down_ns;	     /* monotonic: since then no server is reached; 0 = one is */
	uint64_t errors;	     /* of connections, tried again by themselves */
	char error[WR_REMOTE_TEXT];  /* the last one, with the server's address; "" = there was none */
};

struct wr_remote;
/* Makes one and puts it where it is found. NULL with the error set. */
struct wr_remote *wr_remote_attach(_Atomic(struct wr_remote *) *place);
/* Frees it; nobody says anything any more, and nobody looks. Nothing if there is none. */
void wr_remote_detach(_Atomic(struct wr_remote *) *place);

/* What a source knows of its splits: the fields up to `lag_of` are taken. */
void wr_remote_say_splits(struct wr_remote *r, const struct wr_remote_view *v);
/* One more error; its words are cut. */
void wr_remote_say_error(struct wr_remote *r, const char *words);
/* Since when none is reached; 0: one is. */
void wr_remote_say_down(struct wr_remote *r, uint64_t since_ns);

void wr_remote_look(struct wr_remote *r, struct wr_remote_view *out);
/* The same by its place; false: none is there. */
bool wr_remote_of(const _Atomic(struct wr_remote *) *place, struct wr_remote_view *out);
/* "no broker for 12.3 s (b:9092/1: Connection refused); 8100 behind, 4000 of them in orders[3]; 2 of 8 splits
 * held"; nothing where all is well. */
void wr_remote_text(const struct wr_remote_view *v, uint64_t now_ns, struct wr_bytes *out);
/* Adds what another subtask of an operator knows. */
void wr_remote_add(struct wr_remote_view *sum, const struct wr_remote_view *v);
