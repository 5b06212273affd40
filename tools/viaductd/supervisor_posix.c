/* tools/viaductd/supervisor_posix.c - tells a service manager through $NOTIFY_SOCKET, as systemd defines it. */
#include "supervisor.h"

#include "../lib/text.h"

#include <viaduct/viaduct.h>

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int notify(const char *state, char *why)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len;
	ssize_t n;
	int fd;

	if (name == NULL || name[0] == '\0')
		return 1;
	len = strlen(name);
	if ((name[0] != '/' && name[0] != '@') || len >= sizeof to.sun_path) {
		(void)snprintf(why, SYS_WHY,
			       "$NOTIFY_SOCKET: expected '/path' or '@name' of less than %zu bytes",
			       sizeof to.sun_path);
		return 0;
	}
	memcpy(to.sun_path, name, len);
	if (name[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		(void)snprintf(why, SYS_WHY, "$NOTIFY_SOCKET: %s", strerror(errno));
		return 0;
	}
	do {
		n = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
			   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		(void)snprintf(why, SYS_WHY, "$NOTIFY_SOCKET: %s", strerror(errno));
	(void)close(fd);
	return n >= 0;
}

/* -- watchdog -------------------------------------------------------------------------------- */

static uint64_t watchdog_us; /* 0: there is none, or it is not ours */

static int read_decimal(const char *name, uint64_t most, uint64_t *out, char *why)
{
	const char *text = getenv(name);
	char shown[64];

	if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0' && text_u64(text, out) &&
	    *out != 0 && *out <= most)
		return 1;
	(void)snprintf(why, SYS_WHY, "$%s: expected a number of 1..%" PRIu64 ", found \"%s\"", name,
		       most, text_shown(shown, sizeof shown, text, strlen(text)));
	return 0;
}

int supervisor_watchdog(uint64_t *ns, char *why)
{
	uint64_t us, pid = (uint64_t)getpid();

	*ns = 0;
	if (getenv("WATCHDOG_USEC") == NULL)
		return 1;
	if (!read_decimal("WATCHDOG_USEC", UINT64_MAX / 1000, &us, why))
		return 0;
	if (getenv("WATCHDOG_PID") != NULL && !read_decimal("WATCHDOG_PID", INT32_MAX, &pid, why))
		return 0;
	if (pid != (uint64_t)getpid()) /* meant for the process that started us, or for another */
		return 1;
	watchdog_us = us;
	*ns = us * 1000;
	return 1;
}

/* The watchdog's time while something goes on that takes that much longer; the usual one again with 0. */
static const char *stretched(uint64_t more_ns, char text[64])
{
	uint64_t more_us = more_ns / 1000;

	text[0] = '\0';
	if (watchdog_us != 0)
		(void)snprintf(text, 64, "\nWATCHDOG_USEC=%" PRIu64,
			       more_us < UINT64_MAX / 2000 && watchdog_us < UINT64_MAX / 2000
				       ? watchdog_us + more_us
				       : watchdog_us);
	return text;
}

/* -- states ---------------------------------------------------------------------------------- */

int supervisor_tell(int state, uint64_t within_ns, char *why)
{
	char text[160], more[64];

	switch (state) {
	case SUPERVISOR_READY:
		(void)snprintf(text, sizeof text, "READY=1%s", stretched(0, more));
		return notify(text, why);
	case SUPERVISOR_WORKS:
		return notify("WATCHDOG=1", why);
	case SUPERVISOR_RELOADING: /* the time tells it from an answer to an older request */
		(void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "%s",
			       via_now() / 1000, stretched(within_ns, more));
		return notify(text, why);
	default:
		return notify("STOPPING=1", why);
	}
}

void supervisor_end(int status)
{
	(void)status; /* the end of the process says it */
}
