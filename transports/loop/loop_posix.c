/* transports/loop/loop_posix.c - events are eventfds.
 *
 * Threads: any. Syscalls: eventfd, read, write, close. Peer: this process. Wire layout: none.
 */
#include "loop.h"
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

via_rc loop_event_open(const struct loop_self *s, int64_t *out)
{
	int err = s->gate == NULL ? 0 : s->gate->deny(s->gate->arg, "eventfd");
	int fd = -1;

	if (err == 0) {
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		err = fd < 0 ? errno : 0;
	}
	if (err != 0)
		return s->h->fail(s->h->ctx,
				  err == ENOMEM                    ? VIA_NOMEM
				  : err == EMFILE || err == ENFILE ? VIA_LIMIT
								   : VIA_IO,
				  err, "eventfd");
	*out = fd;
	return VIA_OK;
}

void loop_event_close(int64_t event)
{
	if (event != LOOP_NO_EVENT)
		close((int)event);
}

/* A write can only fail when the counter is full, and a full counter is a set event. */
void loop_event_set(int64_t event)
{
	uint64_t one = 1;
	ssize_t n = write((int)event, &one, sizeof one);

	(void)n;
}

/* A read can only fail when the event is clear. */
void loop_event_clear(int64_t event)
{
	uint64_t count;
	ssize_t n = read((int)event, &count, sizeof count);

	(void)n;
}

void loop_event_object(int64_t event, via_waitobj *out)
{
	out->kind = VIA_WAIT_FD;
	out->handle = event;
	out->fd_events = POLLIN;
}

int loop_handle_ok(const via_handle *h)
{
	return h->kind == VIA_H_FD && h->value >= 0;
}

void loop_handle_close(const via_handle *h)
{
	close((int)h->value);
}

void loop_self_facts(via_peer *out)
{
	out->valid = VIA_PEER_PID | VIA_PEER_UID | VIA_PEER_GID | VIA_PEER_LABEL;
	out->pid = (uint64_t)getpid();
	out->uid = (uint64_t)geteuid();
	out->gid = (uint64_t)getegid();
	(void)snprintf(out->label, sizeof out->label, "pid %ld, this process", (long)getpid());
}

void loop_yield(void)
{
	(void)sched_yield();
}
