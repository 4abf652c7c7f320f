/* SPDX-License-Identifier: Apache-2.0 */
/* recording: files of decisions. Read and written on the coordinator's thread. */
#include "cluster/recording.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/error.h"
#include "task/record.h"

static struct wr_mem mem = WR_MEM_INIT("cluster.recording");
static const char magic[8] = "weirrec1";

struct track { /* of one subtask */
	struct wr_recorder recorder;
	struct wr_player player;
	struct wr_bytes bytes; /* what is played */
	bool judged; /* a sink at the end of the graph waits for its I/O thread, which is not recorded */
};
struct wr_recording {
	const struct wr_plan *plan;
	char *folder;
	bool play;
	uint32_t count;
	struct track *tracks; /* by vertex, then by subtask */
};

static void file_name(const struct wr_recording *r, uint32_t vertex, uint32_t subtask, char to[PATH_MAX])
{
	snprintf(to, PATH_MAX, "%s/%u-%u.rec", r->folder, vertex, subtask);
}

static struct track *track_of(const struct wr_recording *r, uint32_t vertex, uint32_t subtask)
{
	uint32_t at = subtask;

	for (uint32_t v = 0; v < vertex; v++)
		at += r->plan->vertices[v].parallelism;
	return &r->tracks[at];
}

static int read_file(const char *path, struct wr_bytes *to)
{
	FILE *f = fopen(path, "rb");
	size_t n = 1;

	if (!f)
		return wr_error_set(WR_EUSER, "%s: %s", path, strerror(errno));
	while (n > 0) {
		uint8_t *p = wr_bytes_room(to, 1 << 16);

		n = p ? fread(p, 1, 1 << 16, f) : 0;
		to->len += n;
	}
	fclose(f);
	if (wr_bytes_status(to) != WR_OK)
		return WR_EFATAL;
	if (to->len < sizeof magic || memcmp(to->data, magic, sizeof magic))
		return wr_error_set(WR_EUSER, "%s is no recording of this version", path);
	return WR_OK;
}

static int write_file(const char *path, const struct wr_bytes *text)
{
	FILE *f = fopen(path, "wb");
	bool ok = f && fwrite(magic, 1, sizeof magic, f) == sizeof magic &&
		  fwrite(text->data, 1, text->len, f) == text->len;

	if (f && fclose(f) != 0)
		ok = false;
	return ok ? WR_OK : wr_error_set(WR_ETRANSIENT, "%s: %s", path, strerror(errno));
}

/* Calls `each` for every subtask until it fails. */
static int each_track(struct wr_recording *r, int (*each)(struct track *t, const char *path, void *arg),
		      void *arg)
{
	char path[PATH_MAX];
	int rc = WR_OK;

	for (uint32_t v = 0; v < r->plan->vertex_count; v++)
		for (uint32_t i = 0; i < r->plan->vertices[v].parallelism && rc == WR_OK; i++) {
			file_name(r, v, i, path);
			rc = each(track_of(r, v, i), path, arg);
		}
	return rc;
}

static int track_play(struct track *t, const char *path, void *clock)
{
	int rc = read_file(path, &t->bytes);

	if (rc == WR_OK)
		wr_player_init(&t->player, t->bytes.data + sizeof magic, t->bytes.len - sizeof magic, clock);
	return rc;
}

static int track_record(struct track *t, const char *path, void *clock)
{
	(void)path;
	wr_recorder_init(&t->recorder, clock);
	return WR_OK;
}

struct wr_recording *wr_recording_new(const struct wr_plan *plan, const char *folder, bool play,
				      struct wr_clock *clock)
{
	struct wr_recording *r = wr_zalloc(&mem, sizeof *r);

	if (!r)
		return NULL;
	r->plan = plan;
	r->play = play;
	for (uint32_t v = 0; v < plan->vertex_count; v++)
		r->count += plan->vertices[v].parallelism;
	r->folder = wr_strdup(&mem, folder);
	r->tracks = wr_zalloc(&mem, (r->count + 1) * sizeof *r->tracks);
	for (uint32_t e = 0; r->tracks && e < plan->edge_count; e++)
		for (uint32_t i = 0; i < plan->vertices[plan->edges[e].from].parallelism; i++)
			track_of(r, plan->edges[e].from, i)->judged = true;
	if (r->folder && r->tracks && (play || mkdir(folder, 0777) == 0 || errno == EEXIST) &&
	    each_track(r, play ? track_play : track_record, clock) == WR_OK)
		return r;
	if (!play && r->folder && r->tracks)
		wr_error_set(WR_EUSER, "%s: %s", folder, strerror(errno));
	wr_recording_free(r);
	return NULL;
}

struct wr_world *wr_recording_world(void *recording, uint32_t vertex, uint32_t subtask)
{
	struct wr_recording *r = recording;
	struct track *t = track_of(r, vertex, subtask);

	return r->play ? &t->player.world : &t->recorder.world;
}

static int track_finish(struct track *t, const char *path, void *arg)
{
	const struct wr_recording *r = arg;
	int rc;

	if (r->play)
		return t->player.diverged && t->judged
			   ? wr_error_set(WR_EUSER,
					  "%s: the task did something else than the recorded one: "
					  "is it the same script, input and version?",
					  path)
			   : WR_OK;
	rc = wr_bytes_status(&t->recorder.text);
	return rc == WR_OK ? write_file(path, &t->recorder.text) : rc;
}

int wr_recording_finish(struct wr_recording *r)
{
	return each_track(r, track_finish, r);
}

void wr_recording_free(struct wr_recording *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; r->tracks && i < r->count; i++) {
		wr_recorder_deinit(&r->tracks[i].recorder);
		wr_bytes_deinit(&r->tracks[i].bytes);
	}
	wr_free(&mem, r->tracks);
	wr_free(&mem, r->folder);
	wr_free(&mem, r);
}
