/* SPDX-License-Identifier: Apache-2.0 */
/* module: finding and loading shared objects of our own. */
#include "module/module.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/error.h"

/* Folder of the running program, without the slash; "." if the system does not say. */
static void own_folder(char folder[PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", folder, PATH_MAX - 1);
	char *slash;

	folder[len > 0 ? len : 0] = 0;
	slash = strrchr(folder, '/');
	if (slash)
		*slash = 0;
	else
		snprintf(folder, PATH_MAX, ".");
}

/* The object, or NULL; *found: its file is there. */
static void *open_in(const char *folder, const char *under, const char *name, bool *found)
{
	char path[PATH_MAX + 256];

	snprintf(path, sizeof path, "%s%s/weir-%s.so", folder, under, name);
	*found = access(path, F_OK) == 0;
	return *found ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
}

const void *wr_module_load(const char *name, uint32_t version)
{
	const struct wr_module *module;
	char folder[PATH_MAX];
	bool found;
	void *object;

	own_folder(folder);
	object = open_in(folder, "", name, &found);
	if (!found)
		object = open_in(folder, "/../lib/weir", name, &found);
	if (!found) {
		wr_error_set(WR_EFATAL,
			     "the module weir-%s.so is missing: it is neither beside the program (%s) nor in "
			     "../lib/weir from there; `make` builds it, `make install` puts it there",
			     name, folder);
		return NULL;
	}
	module = object ? dlsym(object, "wr_module") : NULL;
	if (!module) {
		wr_error_set(WR_EFATAL, "the module weir-%s.so does not load: %s", name, dlerror());
		return NULL;
	}
	if (module->version != version) {
		wr_error_set(
		    WR_EFATAL,
		    "the module weir-%s.so is of version %u, and this program needs %u: install both "
		    "from the same build",
		    name, module->version, version);
		return NULL;
	}
	return module->functions;
}
