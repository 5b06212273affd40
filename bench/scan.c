/* bench/scan.c - how long a registry takes to look at a directory of module files.
 *
 * usage: bench_scan DIRECTORY [ROUNDS]
 *
 * The directory holds copies of modules; the comparison in the same run is opening, reading 4 KiB of and
 * closing each of the same files. Prints "files,scan_ms,read_ms", medians of the rounds. */
#include "bench.h"
#include <dirent.h>
#include <fcntl.h>
#include <string.h>

enum { MAX_ROUNDS = 99 };

static int count_file(void *arg, const via_file_info *f)
{
	(void)f;
	(*(int *)arg)++;
	return 0;
}

static double read_all(const char *dir)
{
	via_time t0 = via_now();
	char path[4096], buf[4096];
	struct dirent *e;
	DIR *d = opendir(dir);

	while (d != NULL && (e = readdir(d)) != NULL) {
		int fd;

		snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (read(fd, buf, sizeof buf) < 0)
			buf[0] = 0;
		close(fd);
	}
	if (d != NULL)
		closedir(d);
	return (double)(via_now() - t0);
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? bench_number(argv[2], MAX_ROUNDS) : 15, files = 0, i;
	double scan[MAX_ROUNDS], bare[MAX_ROUNDS];

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: %s DIRECTORY [ROUNDS]\n", argv[0]);
		return 2;
	}
	for (i = 0; i < rounds; i++) {
		via_time t0;
		via_registry *r;

		bare[i] = read_all(argv[1]);
		t0 = via_now();
		r = bench_registry(argv[1]);
		scan[i] = (double)(via_now() - t0);
		files = 0;
		via_registry_files(r, count_file, &files);
		bench_check(via_registry_close(r), "close");
	}
	if (files == 0) {
		fprintf(stderr, "%s: no module files\n", argv[1]);
		return 1;
	}
	printf("%d,%.3f,%.3f\n", files, bench_median(scan, rounds) / 1e6,
	       bench_median(bare, rounds) / 1e6);
	return 0;
}
