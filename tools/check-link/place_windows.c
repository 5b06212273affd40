/* tools/check-link/place_windows.c - what transports make here has names that end with their process. */
#include "check_link.h"

int place_make(char path[RIG_NAME_MAX], char *why)
{
	(void)why;
	path[0] = '\0';
	return 1;
}

void place_remove(const char *path)
{
	(void)path;
}
