/* core/os/posix/env.c - environment variables, rights, and where things are by default. */
#include "posix.h"
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif

int os_is_privileged(void)
{
#if defined(__linux__)
	return getauxval(AT_SECURE) != 0;
#else
	return getuid() != geteuid() || getgid() != getegid();
#endif
}

static via_rc put(char *buf, uint32_t cap, const char *what, const char *a, const char *b)
{
	size_t need = strlen(a) + strlen(b) + 1;

	if (need > cap)
		return core_fail(VIA_TOOBIG, "%s takes %zu bytes, expected at most %u", what, need,
				 cap);
	(void)snprintf(buf, cap, "%s%s", a, b);
	return VIA_OK;
}

via_rc os_getenv(const char *name, char *buf, uint32_t cap)
{
	const char *v = getenv(name);

	if (v == NULL)
		return core_fail(VIA_NOTFOUND, "environment variable %s is not set", name);
	return put(buf, cap, name, v, "");
}

via_rc os_default_run_dir(char *buf, uint32_t cap)
{
	const char *dir = os_is_privileged() ? NULL : getenv("XDG_RUNTIME_DIR");

	if (dir == NULL || dir[0] != '/')
		dir = "/run";
	return put(buf, cap, "the run directory", dir, "/viaduct");
}

static int is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* True when code at p belongs to the program itself, whose name as the loader knows it is argv[0]
 * and thus whatever its parent liked. */
static int in_program(const Dl_info *p)
{
#if defined(__linux__)
	Dl_info program;

	return dladdr((const void *)getauxval(AT_PHDR), &program) == 0 ||
	       program.dli_fbase == p->dli_fbase;
#else
	return strchr(p->dli_fname, '/') == NULL;
#endif
}

/* Directory of the file that holds this code, without links; 0 when it cannot be told. */
static int own_dir(char real[PATH_MAX])
{
	static const char anchor = 0;
	const char *file = "/proc/self/exe";
	Dl_info info;

	if (dladdr(&anchor, &info) != 0 && info.dli_fname != NULL && !in_program(&info))
		file = info.dli_fname;
	if (realpath(file, real) == NULL)
		return 0;
	*strrchr(real, '/') = '\0';
	return 1;
}

/* Beside the library first: a build tree and an unpacked archive must not pick up what is installed. */
via_rc os_default_module_dir(char *buf, uint32_t cap)
{
	char dir[PATH_MAX], path[PATH_MAX + 32] = "";
	char *slash;

	if (own_dir(dir)) {
		(void)snprintf(path, sizeof path, "%s/viaduct/1", dir);
		if (is_dir(path))
			return put(buf, cap, "the module directory", path, "");
		slash = strrchr(dir, '/');
		if (slash != NULL)
			*slash = '\0';
		(void)snprintf(path, sizeof path, "%s/lib/viaduct/1", dir);
		if (is_dir(path))
			return put(buf, cap, "the module directory", path, "");
	}
#if defined(VIA_MODULE_DIR)
	(void)snprintf(path, sizeof path, "%s", VIA_MODULE_DIR);
#endif
	if (path[0] == '\0')
		return core_fail(VIA_NOTFOUND,
				 "no module directory was built in, and the library's own file "
				 "cannot be found");
	return put(buf, cap, "the module directory", path, "");
}
