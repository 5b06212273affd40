/* transports/posixshm/posixshm_owner.c - whether the process that a region names as its owner lives.
 *
 * Threads: none. Syscalls: kill with signal 0, open, read, clock_gettime. Peer: the pid comes from a
 * file that anybody may have written: it is only asked about.
 *
 * Wire layout: docs/wire.md section 10 knows kill() only, so a pid that has been given to another
 * process keeps a dead region alive. Two more questions tell, and both must say no before a pid that
 * exists is taken for somebody else's:
 *  - did that process start clearly after the region was last written? Then it cannot have made it.
 *    A wall clock that was set in between can mislead here, hence
 *  - does it map a file of that name? The owner of a live region does.
 * What cannot be read counts as yes. A zombie is as dead as one whose parent has asked for its status.
 *
 * A server in another pid namespace looks dead when nobody has its number here, as it does to
 * netipc. Both can only meet when they serve the same name in the same directory, which the baseline
 * does not let happen while the first one listens; and a session that is attached keeps its memory
 * when the name goes.
 */
#include "posixshm.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CLEARLY_NS 2000000000u
#define NAME_ROOM 512u

static int open_proc(const struct pshm_self *s, int32_t pid, const char *what)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, what);
	if (pshm_deny(s, "open") != 0)
		return -1;
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Bytes read, 0 at the end, or -1. */
static ssize_t read_some(const struct pshm_self *s, int fd, char *buf, size_t cap)
{
	return pshm_deny(s, "read") != 0 ? -1 : read(fd, buf, cap);
}

struct life {
	char state;
	uint64_t threads, start_ticks; /* since boot */
};

/* Fields 3, 20 and 22 of /proc/PID/stat. The second may hold blanks and brackets, so counting starts
 * behind its last bracket. 1 when they were found. */
static int parse_stat(const char *text, struct life *out)
{
	const char *p = strrchr(text, ')');
	uint64_t value = 0;
	int field;

	if (p == NULL || p[1] != ' ')
		return 0;
	out->state = p[2];
	for (field = 3; field <= 22; field++) {
		char *end;

		p = strchr(p + 1, ' ');
		if (p == NULL)
			return 0;
		if (field != 20 && field != 22)
			continue;
		errno = 0;
		value = strtoull(p + 1, &end, 10);
		if (errno != 0 || end == p + 1 || *end != ' ')
			return 0;
		if (field == 20)
			out->threads = value;
	}
	out->start_ticks = value;
	return 1;
}

static int read_stat(const struct pshm_self *s, int32_t pid, struct life *out)
{
	char text[1024];
	int fd = open_proc(s, pid, "stat");
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read_some(s, fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	return parse_stat(text, out);
}

/* When that was, on the wall clock as it is now; 0 when it cannot be told. */
static uint64_t wall_of(uint64_t ticks)
{
	struct timespec boot, wall;
	uint64_t up, now, at;
	long hz = sysconf(_SC_CLK_TCK);

	if (hz <= 0 || ticks > UINT64_MAX / 1000000000u ||
	    clock_gettime(CLOCK_BOOTTIME, &boot) != 0 ||
	    clock_gettime(CLOCK_REALTIME, &wall) != 0 || wall.tv_sec < 0)
		return 0;
	up = (uint64_t)boot.tv_sec * 1000000000u + (uint64_t)boot.tv_nsec;
	now = (uint64_t)wall.tv_sec * 1000000000u + (uint64_t)wall.tv_nsec;
	at = ticks * 1000000000u / (uint64_t)hz;
	return at > up || up - at > now ? 0 : now - (up - at);
}

/* Whether /proc/PID/maps has a file of that name; 1 in doubt. The text is searched as it comes, with
 * enough of the last piece kept in front. */
static int maps_file(const struct pshm_self *s, int32_t pid, const char *name)
{
	char text[4096 + NAME_ROOM];
	size_t len = strlen(name);
	size_t kept = 0;
	int found = len == 0 || len >= NAME_ROOM;
	int fd = open_proc(s, pid, "maps");
	ssize_t n = 0;

	if (fd < 0)
		return 1;
	while (!found) {
		n = read_some(s, fd, text + kept, sizeof text - kept);
		if (n <= 0)
			break;
		kept += (size_t)n;
		found = memmem(text, kept, name, len) != NULL;
		if (kept >= len) {
			memmove(text, text + kept - (len - 1), len - 1);
			kept = len - 1;
		}
	}
	close(fd);
	return found || n < 0;
}

int pshm_owner_lives(const struct pshm_self *s, int32_t pid, uint64_t written_ns, const char *name)
{
	struct life life;
	uint64_t started;
	int err;

	if (pid <= 0) /* kill() would take these for groups */
		return 0;
	err = pshm_deny(s, "kill");
	if (err == 0 && kill((pid_t)pid, 0) != 0)
		err = errno;
	if (err == ESRCH)
		return 0;
	if (err != 0 && err != EPERM)
		return 1;
	if (!read_stat(s, pid, &life))
		return 1;
	if ((life.state == 'Z' || life.state == 'X') && life.threads <= 1)
		return 0; /* dead, but its parent has not asked yet */
	started = wall_of(life.start_ticks);
	if (started == 0 || written_ns > started || started - written_ns < CLEARLY_NS)
		return 1;
	return maps_file(s, pid, name);
}
