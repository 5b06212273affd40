/* fuzz/driver_afl.c - runs a fuzz program under AFL++: persistent, inputs through shared memory.
 *
 * Each input is copied into a block of exactly its size, so that a sanitizer sees the first byte too far.
 * A persistent child stops itself between batches; without the death signal it would outlive afl-fuzz.
 */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef __AFL_FUZZ_TESTCASE_LEN
#error "this driver needs afl-clang-fast"
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

__AFL_FUZZ_INIT();

int main(void)
{
	const uint8_t *shared;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* the fork server ends with afl-fuzz */
#ifdef __AFL_HAVE_MANUAL_CONTROL
	__AFL_INIT();
#endif
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* and its children with the fork server */
	shared = __AFL_FUZZ_TESTCASE_BUF; /* valid from here on, not before */
	while (__AFL_LOOP(10000)) {
		size_t len = (size_t)__AFL_FUZZ_TESTCASE_LEN;
		uint8_t *input = malloc(len > 0 ? len : 1);

		if (input == NULL)
			return 1;
		memcpy(input, shared, len);
		LLVMFuzzerTestOneInput(input, len);
		free(input);
	}
	return 0;
}
