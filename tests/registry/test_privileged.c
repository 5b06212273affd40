/* tests/registry/test_privileged.c - a process with more rights than its user does not look at the
 * environment.
 *
 * Needs root to make a set-uid program and to be somebody else when starting it. POSIX only.
 */
#include "reg_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(registry_privileged, .init = rig_open, .fini = rig_close, .timeout = 30);

enum { SOMEBODY = 65534 };

/* First line that the program prints when SOMEBODY starts it; "" when it cannot be started. */
static void run_as_somebody(const char *program, char *line, size_t cap)
{
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	cr_assert_eq(pipe(ends), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		if (dup2(ends[1], 1) < 0 || setgid(SOMEBODY) != 0 || setuid(SOMEBODY) != 0)
			_exit(120);
		setenv("VIADUCT_MODULE_PATH", "/from/the/environment", 1);
		execl(program, program, (char *)NULL);
		_exit(121);
	}
	close(ends[1]);
	n = read(ends[0], line, cap - 1);
	line[n > 0 ? n : 0] = '\0';
	close(ends[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) < 120, "status 0x%x", (unsigned)status);
}

RR_TEST(registry_privileged, environment_is_ignored)
{
	char line[256];

	if (geteuid() != 0)
		rig_skip("only root can make a program that is set-uid to somebody else");
	rig_copy(VIA_TEST_PRIVILEGED, rig_path("program"));

	run_as_somebody(rig_path("program"), line, sizeof line);
	cr_assert_str_eq(line, "/from/the/environment\n", "an ordinary process follows it");

	cr_assert_eq(chown(rig_path("program"), 0, 0), 0);
	cr_assert_eq(chmod(rig_path("program"), 04755), 0);
	run_as_somebody(rig_path("program"), line, sizeof line);
	cr_assert_eq(line[0], '/', "%s", line);
	cr_assert_str_neq(line, "/from/the/environment\n", "a set-uid process does not");
}
