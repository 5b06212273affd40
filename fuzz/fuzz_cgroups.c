/* fuzz/fuzz_cgroups.c - what the cgroups service makes of bytes: names of paths, lines of
 * mountinfo, directory entries, configuration.
 *
 * Input: one byte that says which ('n', 'm', 'e', 'c'; any other: 'n'), then the bytes.
 */
#include "services/cgroups/config.c"
#include "services/cgroups/mounts.c"
#include "services/cgroups/name.c"
#include "services/cgroups/sys.c"
#include "services/cgroups/text.c"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int is_true)
{
	if (!is_true)
		abort();
}

/* Never empty, fits, ends in a NUL, and nothing in it that a terminal would obey. */
static void check_name(const char *path, size_t len)
{
	struct cgroups_text name, again;
	uint32_t options, options_again;
	uint64_t at = 0;

	cgroups_name(path, len, &name, &options);
	require(name.len > 0 && name.len < CGROUPS_NAME_CAP && strlen(name.at) == name.len);
	require((options & 0xff) <= CGROUPS_BY_NSPAWN);
	require(options >> CGROUPS_OPT_KIND_SHIFT <= CGROUPS_IS_POD);
	while (at < name.len) {
		uint32_t n = printable((const uint8_t *)name.at + at, name.len - at);

		require(n > 0);
		at += n;
	}
	cgroups_name(path, len, &again, &options_again);
	require(options == options_again && strcmp(name.at, again.at) == 0);
}

static void check_mount(const char *line, size_t len)
{
	static struct cgroups_mount m;

	if (!cgroups_mount_parse(line, len, &m))
		return;
	require(m.point[0] == '/' && strlen(m.point) < sizeof m.point);
	require(strstr(m.point, "/../") == NULL);
}

static void check_entries(const uint8_t *bytes, size_t len)
{
	struct cgroups_entry e;
	uint64_t at = 0, before = 0;

	while (cgroups_entry_next(bytes, len, &at, &e)) {
		require(at > before && at <= len);
		require(e.len > 0 && e.len < CGROUPS_COMPONENT_CAP && strlen(e.name) == e.len);
		require(strchr(e.name, '/') == NULL && strcmp(e.name, "..") != 0);
		before = at;
	}
}

static void check_config(const char *bytes, size_t len)
{
	struct cgroups_config c;
	char why[256] = "";
	char *text = malloc(len + 1);
	via_rc rc;

	if (text == NULL)
		return;
	memcpy(text, bytes, len);
	text[len] = 0;
	rc = cgroups_config_parse(text, &c, why, sizeof why);
	free(text);
	if (rc != VIA_OK) {
		require(rc == VIA_INVAL && why[0] != 0);
		return;
	}
	require(c.root[0] == '/' && strlen(c.root) < sizeof c.root);
	require(c.max_cgroups >= 1 && c.max_cgroups <= CGROUPS_MAX_CGROUPS_LIMIT);
	require(c.max_depth >= 1 && c.max_depth <= CGROUPS_MAX_DEPTH_LIMIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;

	if (size == 0)
		return 0;
	if (data[0] == 'm')
		check_mount(text, size - 1);
	else if (data[0] == 'e')
		check_entries(data + 1, size - 1);
	else if (data[0] == 'c')
		check_config(text, size - 1);
	else
		check_name(text, size - 1);
	return 0;
}
