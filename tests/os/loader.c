/* tests/os/loader.c - loads a module and stays until its input ends: os_loader FILE. Prints the answer. */
#include "core/os/os.h"
#include <stdio.h>
#include <string.h>

static int answer(os_image *i)
{
	void *p = os_image_symbol(i, "plug_answer");
	int (*fn)(void);

	if (p == NULL)
		return -1;
	memcpy(&fn, &p, sizeof fn);
	return fn();
}

int main(int argc, char **argv)
{
	os_image *i = NULL;
	os_file *f = NULL;

	if (argc != 2)
		return 2;
	if (os_file_open(&core_env_libc, argv[1], &f) != VIA_OK ||
	    os_image_open(&core_env_libc, f, argv[1], "plug", 0, &i) != VIA_OK ||
	    os_image_map(i) != VIA_OK) {
		(void)fprintf(stderr, "os_loader: %s\n", via_error());
		return 1;
	}
	os_file_close(f);
	(void)printf("%d\n", answer(i));
	(void)fflush(stdout);
	while (getchar() != EOF)
		;
	os_image_close(i, 0);
	return 0;
}
