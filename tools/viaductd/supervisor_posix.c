/* tools/viaductd/supervisor_posix.c - tells a service manager through $NOTIFY_SOCKET, as systemd defines it. */
#include "supervisor.h"

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

int supervisor_tell(int state, uint64_t within_ns, char *why)
{
	char text[96];

	(void)within_ns;
	switch (state) {
	case SUPERVISOR_READY:
		return notify("READY=1", why);
	case SUPERVISOR_RELOADING: /* the time tells it from an answer to an older request */
		(void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
			       via_now() / 1000);
		return notify(text, why);
	default:
		return notify("STOPPING=1", why);
	}
}

void supervisor_end(int status)
{
	(void)status; /* the end of the process says it */
}
