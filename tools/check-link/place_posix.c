/* tools/check-link/place_posix.c - a directory for what a case makes: POSIX. */
#include "check_link.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Always below /tmp: names of sockets must be short. */
int place_make(char path[RIG_NAME_MAX], char *why)
{
	(void)snprintf(path, RIG_NAME_MAX, "/tmp/viaduct-check-%ld-XXXXXX", (long)getpid());
	if (mkdtemp(path) != NULL)
		return 1;
	(void)snprintf(why, SYS_WHY, "expected a directory below /tmp, found: %s", strerror(errno));
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	(void)remove(path); /* what cannot go keeps its parent, and nothing else */
	return 0;
}

void place_remove(const char *path)
{
	(void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
