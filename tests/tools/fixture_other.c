/* tests/tools/fixture_other.c - the other process of test_process.c: does what it is told, line by line. */
#include "tools/lib/sys_process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if !defined(_WIN32)
#include <signal.h>
#include <unistd.h>
#endif

int main(int argc, char **argv)
{
	char line[SYS_LINE];
	sys_child self;
	int i;

	sys_init(&argc, &argv);
	sys_child_self(&self);
	while (sys_child_hear(&self, line, UINT32_MAX, NULL) == 1) {
		if (strcmp(line, "arguments") == 0) {
			for (i = 1; i < argc; i++)
				(void)printf("%s\n", argv[i]);
		} else if (strcmp(line, "die") == 0) {
			return 7;
		} else if (strcmp(line, "shout") == 0) {
			for (i = 0; i < 2 * (int)SYS_LINE; i++)
				(void)putchar('x');
#if !defined(_WIN32)
		} else if (strcmp(line, "leave") ==
			   0) { /* somebody behind who keeps the output open */
			pid_t pid = fork();

			if (pid != 0)
				return printf("%d\n", (int)pid) < 0;
			for (;;)
				(void)pause();
		} else if (strcmp(line, "mask") == 0) {
			sigset_t now;

			(void)sigprocmask(SIG_SETMASK, NULL, &now);
			(void)printf("%d\n", sigismember(&now, SIGTERM));
#endif
		} else if (strcmp(line, "stay") == 0) {
			(void)fclose(stdout);
			for (;;) /* deaf to the end of its input */
				sys_sleep(1000000000);
		} else {
			(void)printf("you said %s\n", line);
		}
		(void)fflush(stdout);
	}
	return 0;
}
