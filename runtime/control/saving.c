/* SPDX-License-Identifier: Apache-2.0 */
/* saving: see saving.h. */
#include "control/saving.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"

int wr_saving_folder(struct wr_client *client, const char *id, char folder[WR_SAVEPOINT_PATH])
{
	const char *dir = NULL;
	struct wr_said said;
	int rc = wr_client_ask(client, "{\"verb\":\"info\"}", &said);

	if (rc != WR_OK)
		return rc;
	if (wr_message_text(said.value, "dir", &dir) != WR_OK || !dir)
		return wr_error_set(
		    WR_EUSER,
		    "%s takes no checkpoints: it was started without --dir, or in checkpoint mode none", id);
	if (snprintf(folder, WR_SAVEPOINT_PATH, "%s", dir) >= WR_SAVEPOINT_PATH)
		return wr_error_set(WR_EUSER, "the path %s is longer than %d bytes", dir, WR_SAVEPOINT_PATH);
	return WR_OK;
}

int wr_saving_check(const char *path)
{
	return path && *path ? wr_savepoint_check_path(path) : WR_OK;
}

int wr_saving_make(const char *folder, const char *path, struct wr_savepoint_made *made)
{
	return wr_savepoint_make_newest(folder, path && *path ? path : NULL, made);
}

int wr_saving_take(struct wr_client *client, const char *folder, const char *path,
		   struct wr_savepoint_made *made)
{
	struct wr_said said;
	int rc = wr_saving_check(path);

	if (rc == WR_OK)
		rc = wr_client_ask(client, "{\"verb\":\"checkpoint\",\"aligned\":true}", &said);
	return rc == WR_OK ? wr_saving_make(folder, path, made) : rc;
}

void wr_saving_json(const struct wr_savepoint_made *made, struct wr_bytes *out)
{
	wr_bytes_printf(out, "{\"bytes\":%" PRIu64 ",\"checkpoint\":%" PRIu64 ",\"file\":", made->bytes,
			made->checkpoint);
	wr_bytes_put_json(out, made->path, strlen(made->path));
	wr_bytes_put_u8(out, '}');
}
