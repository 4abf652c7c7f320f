/* SPDX-License-Identifier: Apache-2.0 */
/* record: writing down and playing back the decisions of one task. On the task's thread. */
#include "task/record.h"

#include <string.h>
#include "base/error.h"
#include "record/value.h"

enum { MONO, WALL };
enum { INPUT_NONE, INPUT_END, INPUT_CHANNEL };

static uint64_t zigzag(int64_t v)
{
	return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* ---- writing down ---- */

static struct wr_recorder *recorder_of(struct wr_world *w)
{
	return (struct wr_recorder *)((char *)w - offsetof(struct wr_recorder, world));
}

static int64_t recorded(struct wr_clock *c, int kind, int64_t now)
{
	struct wr_recorder *r = (struct wr_recorder *)((char *)c - offsetof(struct wr_recorder, clock));

	wr_bytes_put_u8(&r->readings, (uint8_t)kind);
	wr_bytes_put_varint(&r->readings, zigzag(now - r->last[kind]));
	r->last[kind] = now;
	r->reading_count++;
	return now;
}

static struct wr_clock *real_of(struct wr_clock *c)
{
	return ((struct wr_recorder *)((char *)c - offsetof(struct wr_recorder, clock)))->real;
}

static uint64_t recorder_mono(struct wr_clock *c)
{
	return (uint64_t)recorded(c, MONO, (int64_t)wr_clock_ns(real_of(c)));
}

static int64_t recorder_wall(struct wr_clock *c)
{
	return recorded(c, WALL, wr_clock_ms(real_of(c)));
}

static bool recorder_ready(struct wr_world *w, bool ready)
{
	return recorder_of(w)->is_ready = ready;
}

static struct wr_letter *recorder_mail(struct wr_world *w, struct wr_mailbox *m)
{
	struct wr_recorder *r = recorder_of(w);
	struct wr_letter *l = wr_mailbox_take(m);

	if (l) {
		wr_letter_encode(l, &r->letters);
		r->letter_count++;
	}
	return l;
}

static int recorder_input(struct wr_world *w, struct wr_gate *gate, struct wr_input *out)
{
	int rc = wr_gate_next(gate, out, NULL, NULL);

	recorder_of(w)->input = rc == WR_OK    ? INPUT_CHANNEL + out->channel
				: rc == WR_END ? INPUT_END
					       : INPUT_NONE;
	return rc;
}

static bool recorder_end(struct wr_world *w)
{
	struct wr_recorder *r = recorder_of(w);

	wr_bytes_put_u8(&r->text, r->is_ready);
	wr_bytes_put_varint(&r->text, r->input);
	wr_bytes_put_varint(&r->text, r->letter_count);
	wr_bytes_put(&r->text, r->letters.data, r->letters.len);
	wr_bytes_put_varint(&r->text, r->reading_count);
	wr_bytes_put(&r->text, r->readings.data, r->readings.len);
	r->letters.len = r->readings.len = 0;
	r->letter_count = r->reading_count = r->input = 0;
	r->is_ready = false;
	return false;
}

void wr_recorder_init(struct wr_recorder *r, struct wr_clock *real)
{
	memset(r, 0, sizeof *r);
	r->real = real;
	r->clock = (struct wr_clock){.mono_ns = recorder_mono, .wall_ms = recorder_wall};
	r->world = (struct wr_world){.clock = &r->clock,
				     .ready = recorder_ready,
				     .mail = recorder_mail,
				     .input = recorder_input,
				     .end = recorder_end};
}

void wr_recorder_deinit(struct wr_recorder *r)
{
	wr_bytes_deinit(&r->text);
	wr_bytes_deinit(&r->letters);
	wr_bytes_deinit(&r->readings);
}

/* ---- playing back ---- */

static struct wr_player *player_of(struct wr_world *w)
{
	return (struct wr_player *)((char *)w - offsetof(struct wr_player, world));
}

static void skip_letters(struct wr_reader *r, uint64_t count)
{
	for (uint64_t i = 0; i < count && !r->bad; i++)
		r->bad |= wr_value_verify(r) != WR_OK;
}

/* The next step of the record; false at its end. */
static bool load(struct wr_player *p)
{
	struct wr_reader *r = &p->text;

	p->is_ready = wr_read_u8(r) & 1;
	p->input = wr_read_varint(r);
	p->letters = wr_read_varint(r);
	p->at_letters = *r;
	skip_letters(r, p->letters);
	p->readings = wr_read_varint(r);
	p->at_readings = *r;
	for (uint64_t i = 0; i < p->readings && !r->bad; i++) {
		wr_read_u8(r);
		wr_read_varint(r);
	}
	p->loaded = !r->bad;
	p->over = r->bad;
	p->held_rc = p->input == INPUT_END ? WR_END : WR_AGAIN;
	p->held.buffer = NULL;
	return p->loaded;
}

static bool player_begin(struct wr_world *w, struct wr_gate *gate, bool ready)
{
	struct wr_player *p = player_of(w);

	if (p->over || (!p->loaded && !load(p)))
		return true;
	if (p->is_ready && !ready)
		return false;
	if (p->input < INPUT_CHANNEL || p->held.buffer)
		return true;
	if (!gate || p->input - INPUT_CHANNEL >= wr_gate_count(gate)) {
		p->diverged = p->over = true;
		return true;
	}
	p->held_rc = wr_gate_next_from(gate, (uint32_t)(p->input - INPUT_CHANNEL), &p->held);
	return p->held_rc != WR_AGAIN;
}

static bool player_ready(struct wr_world *w, bool ready)
{
	struct wr_player *p = player_of(w);

	return p->over ? ready : p->is_ready;
}

static struct wr_letter *player_mail(struct wr_world *w, struct wr_mailbox *m)
{
	struct wr_player *p = player_of(w);
	struct wr_letter *l;

	if (!p->over) {
		if (!p->letters)
			return NULL;
		p->letters--;
		p->letters_given++;
		return wr_letter_decode(&p->at_letters);
	}
	while ((l = wr_mailbox_take(m)) && p->letters_given) {
		p->letters_given--;
		wr_letter_free(l);
	}
	return l;
}

static int player_input(struct wr_world *w, struct wr_gate *gate, struct wr_input *out)
{
	struct wr_player *p = player_of(w);
	int rc = p->held_rc;

	if (p->over && !p->held.buffer)
		return wr_gate_next(gate, out, NULL, NULL);
	*out = p->held;
	p->held.buffer = NULL;
	p->held_rc = WR_AGAIN;
	return rc;
}

static const struct wr_input *player_held(const struct wr_world *w)
{
	const struct wr_player *p = player_of((struct wr_world *)(uintptr_t)w);

	return p->held.buffer ? &p->held : NULL;
}

/* What woke the recorded task is not there to wake this one: it goes on as long as the record does. A task
 * that left its input where it is does something else than the recorded one. */
static bool player_end(struct wr_world *w)
{
	struct wr_player *p = player_of(w);

	p->loaded = false;
	if (p->held.buffer)
		p->diverged = p->over = true;
	return !p->over && p->text.p < p->text.end;
}

static void player_close(struct wr_world *w)
{
	struct wr_player *p = player_of(w);

	if (p->held.buffer)
		wr_buffer_unref(p->held.buffer);
	p->held.buffer = NULL;
}

static int64_t played(struct wr_clock *c, uint8_t kind)
{
	struct wr_player *p = (struct wr_player *)((char *)c - offsetof(struct wr_player, clock));

	if (p->over)
		return kind == MONO ? (int64_t)wr_clock_ns(p->real) : wr_clock_ms(p->real);
	if (!p->readings || wr_read_u8(&p->at_readings) != kind) {
		p->diverged = p->over = true;
		return p->last[kind];
	}
	p->readings--;
	return p->last[kind] += unzigzag(wr_read_varint(&p->at_readings));
}

static uint64_t player_mono(struct wr_clock *c)
{
	return (uint64_t)played(c, MONO);
}

static int64_t player_wall(struct wr_clock *c)
{
	return played(c, WALL);
}

void wr_player_init(struct wr_player *p, const void *bytes, size_t len, struct wr_clock *real)
{
	memset(p, 0, sizeof *p);
	p->real = real;
	p->text = wr_reader_of(bytes, len);
	p->clock = (struct wr_clock){.mono_ns = player_mono, .wall_ms = player_wall};
	p->world = (struct wr_world){.clock = &p->clock,
				     .begin = player_begin,
				     .ready = player_ready,
				     .mail = player_mail,
				     .input = player_input,
				     .held = player_held,
				     .end = player_end,
				     .close = player_close};
}
