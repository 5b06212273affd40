/* tests/os/plug.c - a shared object for the tests of os_image: built with several answers. */
#include <viaduct/abi.h>

#define PLUG_EXPORT VIA_EXPORT

PLUG_EXPORT int plug_answer(void);
PLUG_EXPORT int plug_count(void);
PLUG_EXPORT int plug_far(void);

/* Pages that nobody touched before the file is truncated. */
PLUG_EXPORT const unsigned char plug_filler[65536] = {[0] = 1, [65535] = PLUG_ANSWER};
static int count;

#if defined(PLUG_BROKEN)
int plug_nowhere(void);
#endif

PLUG_EXPORT int plug_answer(void)
{
#if defined(PLUG_BROKEN)
	return plug_nowhere();
#else
	return PLUG_ANSWER;
#endif
}

PLUG_EXPORT int plug_count(void)
{
	return ++count;
}

PLUG_EXPORT int plug_far(void)
{
	const volatile unsigned char *p = plug_filler;
	int sum = 0, i;

	for (i = 0; i < 65536; i++)
		sum += p[i];
	return sum;
}
