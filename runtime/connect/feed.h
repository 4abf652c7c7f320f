/* SPDX-License-Identifier: Apache-2.0 */
/* feed: the source of the test kit; what comes by WR_LETTER_FEED. */
#pragma once

/* The first of three members of what is fed; part of the letter's payload. */
enum wr_feed_word {
	WR_FEED_ROW,	   /* time or nil, record */
	WR_FEED_WATERMARK, /* time */
	WR_FEED_IDLE,
	WR_FEED_ACTIVE,
	WR_FEED_END, /* no more rows, ever */
};
