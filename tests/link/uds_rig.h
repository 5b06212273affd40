/* SPDX-License-Identifier: Apache-2.0
 * tests/link/uds_rig.h - raw sockets beside the module: foreign servers, processes that die. */
#ifndef VIA_TESTS_LINK_UDS_RIG_H
#define VIA_TESTS_LINK_UDS_RIG_H
#include "rig.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* {run directory}/{name} */
static inline const char *path_of(const rig *r, const char *name)
{
	static _Thread_local char path[256];

	snprintf(path, sizeof path, "%s/%s", r->dir, name);
	return path;
}

static inline struct sockaddr_un raw_address(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	memcpy(sa.sun_path, path, strlen(path) + 1);
	return sa;
}

/* A server that knows nothing of our lock. type: SOCK_SEQPACKET, SOCK_STREAM. backlog -1: bound
 * only. */
static inline int raw_listen(const char *path, int type, int backlog)
{
	struct sockaddr_un sa = raw_address(path);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (fd >= 0 && (bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0 ||
			(backlog >= 0 && listen(fd, backlog) != 0))) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline int raw_connect(const char *path)
{
	struct sockaddr_un sa = raw_address(path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof sa) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* A child that cannot outlive the test. It must leave through _exit(). */
static inline pid_t start_child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* Exit status of a child, or -1 when it was killed. */
static inline int end_of_child(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -2;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, "data\n", 5), 5);
	close(fd);
}

static inline int exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* Listens, takes a call, answers it, stops: the name works and nothing is left. */
static inline void check_takes_over(rig *r)
{
	cr_assert_eq(rig_listen(r, NULL, &r->listener), VIA_OK, "%s", rig_detail());
	cr_assert_eq(rig_dial(r, NULL, &r->a), VIA_OK, "%s", rig_detail());
	cr_assert_eq(rig_accept_soon(r, r->listener, &r->b), VIA_OK);
	cr_assert_eq(rig_put(r->a, "\x1f", 1), VIA_OK);
	rig_expect_record(r->b, 1, 1);
	rig_hang_up(&r->a);
	rig_hang_up(&r->b);
	rig_stop(&r->listener);
	rig_check_files(r, 0);
}

#endif
