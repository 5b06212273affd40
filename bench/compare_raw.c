/* bench/compare_raw.c - the comparators made of bare system calls and memory.
 *
 * raw-line: two cache lines, one written by each side: what no transport between two CPUs can beat.
 * raw-futex: the same words, but whoever waits sleeps. raw-futex-wake: waking when nobody sleeps.
 * raw-seqpacket-block, raw-seqpacket-poll: a socket pair. */
#include "compare.h"
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* -- two lines -------------------------------------------------------------------------------------- */

/* A request is its counter plus one, so that zero is "nothing yet"; the answer is the same number. */
typedef struct lines {
	_Alignas(64) _Atomic uint64_t request;
	_Alignas(64) _Atomic uint64_t answer;
} lines;

static void lines_open(compare_pair *p)
{
	p->memory = mmap(NULL, sizeof(lines), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			 -1, 0);
	if (p->memory == MAP_FAILED)
		compare_die("shared memory", errno);
}

static void relax(const compare_pair *p)
{
	if (p->one_cpu) {
		sched_yield();
		return;
	}
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static uint64_t spin_until_changed(const compare_pair *p, _Atomic uint64_t *word, uint64_t old)
{
	uint64_t now;

	while ((now = atomic_load_explicit(word, memory_order_acquire)) == old)
		relax(p);
	return now;
}

static void line_serve(compare_pair *p)
{
	lines *l = p->memory;
	uint64_t seen = 0;

	for (;;) {
		seen = spin_until_changed(p, &l->request, seen);
		if (seen == COMPARE_END)
			return;
		atomic_store_explicit(&l->answer, seen, memory_order_release);
	}
}

static void line_send(compare_pair *p, uint64_t counter)
{
	lines *l = p->memory;
	uint64_t word = counter == COMPARE_END ? COMPARE_END : counter + 1;

	atomic_store_explicit(&l->request, word, memory_order_release);
}

static uint64_t line_recv(compare_pair *p)
{
	lines *l = p->memory;
	uint64_t last = atomic_load_explicit(&l->request, memory_order_relaxed) - 1;

	return spin_until_changed(p, &l->answer, last);
}

const comparator compare_line = {.name = "raw-line",
				 .policy = "spin",
				 .open = lines_open,
				 .serve = line_serve,
				 .send = line_send,
				 .recv = line_recv};

/* -- futex ------------------------------------------------------------------------------------------ */

/* The low half of a counter's word is the futex: it changes with each counter. */
static uint32_t *futex_of(_Atomic uint64_t *word)
{
	return (uint32_t *)word + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

static long futex(uint32_t *word, int op, uint32_t value)
{
	return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

static uint64_t sleep_until_changed(_Atomic uint64_t *word, uint64_t old)
{
	uint64_t now;

	while ((now = atomic_load_explicit(word, memory_order_acquire)) == old)
		if (futex(futex_of(word), FUTEX_WAIT, (uint32_t)old) != 0 && errno != EAGAIN &&
		    errno != EINTR)
			compare_die("futex wait", errno);
	return now;
}

static void store_and_wake(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_seq_cst);
	if (futex(futex_of(word), FUTEX_WAKE, 1) < 0)
		compare_die("futex wake", errno);
}

static void futex_serve(compare_pair *p)
{
	lines *l = p->memory;
	uint64_t seen = 0;

	for (;;) {
		seen = sleep_until_changed(&l->request, seen);
		if (seen == COMPARE_END)
			return;
		store_and_wake(&l->answer, seen);
	}
}

static void futex_send(compare_pair *p, uint64_t counter)
{
	lines *l = p->memory;

	store_and_wake(&l->request, counter == COMPARE_END ? COMPARE_END : counter + 1);
}

static uint64_t futex_recv(compare_pair *p)
{
	lines *l = p->memory;
	uint64_t last = atomic_load_explicit(&l->request, memory_order_relaxed) - 1;

	return sleep_until_changed(&l->answer, last);
}

const comparator compare_futex = {.name = "raw-futex",
				  .policy = "block",
				  .open = lines_open,
				  .serve = futex_serve,
				  .send = futex_send,
				  .recv = futex_recv};

static uint64_t futex_wake_recv(compare_pair *p)
{
	lines *l = p->memory;

	return atomic_load_explicit(&l->request, memory_order_acquire);
}

const comparator compare_futex_wake = {.name = "raw-futex-wake",
				       .policy = "none",
				       .open = lines_open,
				       .send = futex_send,
				       .recv = futex_wake_recv};

/* -- socket pair ------------------------------------------------------------------------------------ */

static void socket_open(compare_pair *p)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->fd) != 0)
		compare_die("socket pair", errno);
}

static void socket_put(const compare_pair *p, int fd, uint64_t counter)
{
	uint8_t record[COMPARE_RECORD];

	compare_put(record, counter);
	while (send(fd, record, sizeof record, MSG_NOSIGNAL) != (ssize_t)sizeof record) {
		if (errno != EINTR)
			compare_die("send", errno);
		relax(p);
	}
}

static uint64_t socket_get(const compare_pair *p, int fd)
{
	uint8_t record[COMPARE_RECORD];
	ssize_t n;

	for (;;) {
		n = recv(fd, record, sizeof record, p->poll ? MSG_DONTWAIT : 0);
		if (n == (ssize_t)sizeof record)
			return compare_get(record);
		if (n >= 0)
			compare_die("receive: the other side is gone", 0);
		if (errno != EAGAIN && errno != EINTR)
			compare_die("receive", errno);
		if (p->one_cpu)
			sched_yield();
	}
}

static void socket_serve(compare_pair *p)
{
	uint64_t counter;

	close(p->fd[0]);
	while ((counter = socket_get(p, p->fd[1])) != COMPARE_END)
		socket_put(p, p->fd[1], counter + 1);
}

static void socket_connect(compare_pair *p)
{
	close(p->fd[1]);
}

static void socket_send(compare_pair *p, uint64_t counter)
{
	socket_put(p, p->fd[0], counter);
}

static uint64_t socket_recv(compare_pair *p)
{
	return socket_get(p, p->fd[0]);
}

const comparator compare_seqpacket_block = {.name = "raw-seqpacket-block",
					    .policy = "block",
					    .can_pipeline = 1,
					    .open = socket_open,
					    .serve = socket_serve,
					    .connect = socket_connect,
					    .send = socket_send,
					    .recv = socket_recv};

const comparator compare_seqpacket_poll = {.name = "raw-seqpacket-poll",
					   .policy = "spin",
					   .can_pipeline = 1,
					   .poll = 1,
					   .open = socket_open,
					   .serve = socket_serve,
					   .connect = socket_connect,
					   .send = socket_send,
					   .recv = socket_recv};
