/* fuzz/driver_files.c - runs a fuzz program over files and directories: its corpus as a regression test.
 *
 * Each input is copied into a block of exactly its size, so that a sanitizer sees the first byte too far.
 * No input at all is an error: a lost corpus must not look like a passed test.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_CAP (1u << 20)

static long n_run;

static int run_file(const char *path)
{
	static uint8_t room[INPUT_CAP];
	uint8_t *input;
	FILE *file;
	size_t len;

	file = fopen(path, "rb");
	if (file == NULL) {
		perror(path);
		return 1;
	}
	len = fread(room, 1, sizeof room, file);
	fclose(file);
	input = malloc(len > 0 ? len : 1);
	if (input == NULL) {
		perror(path);
		return 1;
	}
	memcpy(input, room, len);
	fprintf(stderr, "input %s (%zu bytes)\n", path,
		len); /* the last one named is the culprit */
	LLVMFuzzerTestOneInput(input, len);
	free(input);
	n_run++;
	return 0;
}

static int run_directory(const char *directory)
{
	struct dirent **names;
	struct stat st;
	char path[4096];
	int i, n, failed = 0;

	n = scandir(directory, &names, NULL, alphasort);
	if (n < 0) {
		perror(directory);
		return 1;
	}
	for (i = 0; i < n; i++) {
		int len = snprintf(path, sizeof path, "%s/%s", directory, names[i]->d_name);

		if (len > 0 && (size_t)len < sizeof path && names[i]->d_name[0] != '.' &&
		    stat(path, &st) == 0 && S_ISREG(st.st_mode))
			failed |= run_file(path);
		free(names[i]);
	}
	free(names);
	return failed;
}

int main(int argc, char **argv)
{
	struct stat st;
	int i, failed = 0;

	for (i = 1; i < argc; i++) {
		if (stat(argv[i], &st) != 0) {
			perror(argv[i]);
			return 2;
		}
		failed |= S_ISDIR(st.st_mode) ? run_directory(argv[i]) : run_file(argv[i]);
	}
	if (n_run == 0) {
		fputs("no inputs\n", stderr);
		return 3;
	}
	printf("%ld inputs\n", n_run);
	return failed;
}
