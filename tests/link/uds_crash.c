/* tests/link/uds_crash.c - servers that race for one name, and servers that die at every system
 * call. */
#include "uds_rig.h"
#include <sys/mman.h>

TestSuite(uds_crash, .timeout = 120);

enum { ROUNDS = 50, RACERS = 6 };

/* A racer reports what listen() said, then keeps what it got until told to die. */
static void race(rig *r, int start, int report, int stop)
{
	via_listener *l;
	via_link *link;
	char c;
	via_rc rc;
	uint8_t word = 0;

	if (read(start, &c, 1) != 0) /* all start when the write end is closed */
		_exit(1);
	rc = rig_listen(r, NULL, &l);
	word = (uint8_t)(rc == VIA_OK ? 'W' : rc == VIA_EXISTS ? 'E' : '?');
	if (rc == VIA_OK && rig_dial(r, NULL, &link) != VIA_OK)
		word = 'U'; /* owns a name that does not answer */
	if (write(report, &word, 1) != 1)
		_exit(1);
	(void)!read(stop, &c, 1);
	_exit(0); /* without closing: the next round finds a stale socket and a lock file */
}

/* One round: how many won. *words gets what each said. */
static uint32_t one_round(rig *r, char *words)
{
	int start[2], report[2], stop[2];
	pid_t pid[RACERS];
	uint32_t wins = 0, i;

	cr_assert(pipe(start) == 0 && pipe(report) == 0 && pipe(stop) == 0);
	for (i = 0; i < RACERS; i++) {
		pid[i] = start_child();
		if (pid[i] == 0) {
			close(start[1]);
			close(stop[1]);
			race(r, start[0], report[1], stop[0]);
		}
	}
	close(start[0]);
	close(start[1]);
	close(report[1]);
	for (i = 0; i < RACERS; i++) {
		cr_assert_eq(read(report[0], &words[i], 1), 1);
		wins += words[i] == 'W';
	}
	words[RACERS] = '\0';
	/* While the winner lives, nobody else gets in. */
	cr_expect_eq(rig_listen(r, NULL, &r->listener), VIA_EXISTS, "%s", words);
	close(stop[0]);
	close(stop[1]);
	close(report[0]);
	for (i = 0; i < RACERS; i++)
		cr_expect_eq(end_of_child(pid[i]), 0);
	return wins;
}

Test(uds_crash, exactly_one_wins)
{
	char words[RACERS + 1];
	rig r;
	int round;

	rig_open(&r, "uds");
	for (round = 0; round < ROUNDS; round++) {
		cr_assert_eq(one_round(&r, words), 1, "round %d: %s", round, words);
		cr_assert_null(strpbrk(words, "U?"), "round %d: %s", round, words);
		if (round % 4 == 3) { /* now and then from nothing */
			unlink(path_of(&r, "svc.sock"));
			unlink(path_of(&r, "svc.sock.lock"));
		}
	}
	check_takes_over(&r);
	rig_close(&r);
}

/* -- owners that come and go ------------------------------------------------------------------- */

enum { WINS = 30 };

struct board { /* shared by all racers */
	_Atomic int owner;
};

/* Takes and gives back the name over and over. While it has it, nobody else may, and it must
 * answer. */
static void come_and_go(rig *r, struct board *b)
{
	int won = 0;

	while (won < WINS) {
		via_listener *l;
		via_link *link;
		via_rc rc = rig_listen(r, NULL, &l);
		int none = 0;

		if (rc == VIA_EXISTS)
			continue;
		if (rc != VIA_OK)
			_exit(2);
		if (!atomic_compare_exchange_strong(&b->owner, &none, 1))
			_exit(3);
		if (rig_dial(r, NULL, &link) != VIA_OK)
			_exit(4);
		link->ops->close(link);
		won++;
		atomic_store(&b->owner, 0);
		l->ops->close(l);
	}
	_exit(0);
}

Test(uds_crash, never_two_owners)
{
	struct board *b;
	pid_t pid[RACERS];
	rig r;
	int i;

	rig_open(&r, "uds");
	b = mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(b, MAP_FAILED);
	for (i = 0; i < RACERS; i++) {
		pid[i] = start_child();
		if (pid[i] == 0)
			come_and_go(&r, b);
	}
	for (i = 0; i < RACERS; i++)
		cr_expect_eq(end_of_child(pid[i]), 0,
			     "2: unexpected error, 3: two owners, 4: no answer");
	munmap(b, sizeof *b);
	check_takes_over(&r);
	rig_close(&r);
}

/* -- death at every system call ---------------------------------------------------------------- */

enum { DIED = 77 };

/* Lives once: listen, one call, close. Dies at the nth system call, if it gets that far. */
static int live_and_die(rig *r, uint32_t n)
{
	pid_t pid = start_child();

	if (pid == 0) {
		via_listener *l = NULL;
		via_link *a = NULL;

		r->host.how = RIG_EXIT;
		r->host.error = DIED;
		r->host.fail_call = atomic_load(&r->host.calls) + n;
		if (rig_listen(r, NULL, &l) != VIA_OK)
			_exit(1);
		if (rig_dial(r, NULL, &a) != VIA_OK)
			_exit(2);
		rig_hang_up(&a);
		rig_stop(&l);
		_exit(0);
	}
	return end_of_child(pid);
}

/* What is at the name before. */
static void prepare(rig *r, int kind)
{
	char path[256];

	snprintf(path, sizeof path, "%s", path_of(r, "svc.sock"));
	switch (kind) {
	case 1:
		close(raw_listen(path, SOCK_SEQPACKET, 5));
		break;
	case 2:
		make_file(path);
		break;
	case 3:
		cr_assert_eq(mkdir(path, 0700), 0);
		break;
	case 4:
		cr_assert_eq(live_and_die(r, 14), DIED); /* a crash on top of a crash */
		break;
	default:
		break;
	}
}

Test(uds_crash, dying_anywhere_blocks_nobody)
{
	rig r;
	int kind;

	rig_open(&r, "uds");
	for (kind = 0; kind <= 4; kind++) {
		uint32_t n;
		int status = DIED;

		for (n = 1; status == DIED; n++) {
			cr_assert_lt(n, 100);
			prepare(&r, kind);
			status = live_and_die(&r, n);
			cr_assert(status == DIED || status == 0, "kind %d, call %u: %d", kind, n,
				  status);
			check_takes_over(&r); /* and leaves an empty directory */
		}
		cr_expect_gt(n, 20, "died at %u calls only", n - 1);
	}
	rig_close(&r);
}

/* A live server without our lock is there: dying at any moment does not take its name away for
 * good. */
Test(uds_crash, dying_anywhere_beside_a_foreign_server)
{
	rig r;
	char path[256];
	uint32_t n;
	int status = DIED;

	rig_open(&r, "uds");
	snprintf(path, sizeof path, "%s", path_of(&r, "svc.sock"));
	for (n = 1; status == DIED; n++) {
		int fd = raw_listen(path, SOCK_SEQPACKET, 16);
		int peer;

		cr_assert_geq(fd, 0);
		status = live_and_die(&r, n);
		cr_assert(status == DIED || status == 1);
		cr_expect_eq(rig_listen(&r, NULL, &r.listener), VIA_EXISTS);
		peer = raw_connect(path);
		cr_assert_geq(peer, 0, "call %u", n);
		close(peer);
		close(fd);
		check_takes_over(&r);
	}
	rig_close(&r);
}

/* -- what other programs get to see ------------------------------------------------------------ */

/* Every descriptor that came with listening, dialling and accepting closes itself on exec. */
Test(uds_crash, nothing_survives_exec)
{
	char was_open[256];
	rig r;
	int fd;

	rig_open(&r, "uds");
	for (fd = 0; fd < 256; fd++)
		was_open[fd] = fcntl(fd, F_GETFD) >= 0;
	rig_connect(&r);
	for (fd = 0; fd < 256; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (flags >= 0 && !was_open[fd])
			cr_expect_eq(flags & FD_CLOEXEC, FD_CLOEXEC, "descriptor %d", fd);
	}
	rig_close(&r);
}

/* The public name answers from the first moment it can be seen: somebody who dials all the time
 * while a server takes a stale name over never meets a socket that refuses and is not the stale
 * one. */
Test(uds_crash, the_name_never_refuses_once_it_is_new)
{
	rig r;
	char path[256];
	int round;

	rig_open(&r, "uds");
	snprintf(path, sizeof path, "%s", path_of(&r, "svc.sock"));
	for (round = 0; round < 30; round++) {
		struct stat stale, seen;
		pid_t pid;
		int stop[2];
		int fd = -1;
		char c;

		close(raw_listen(path, SOCK_SEQPACKET, 5));
		cr_assert_eq(stat(path, &stale), 0);
		cr_assert_eq(pipe(stop), 0);
		pid = start_child();
		if (pid == 0) {
			via_listener *l;

			close(stop[1]);
			if (rig_listen(&r, NULL, &l) != VIA_OK)
				_exit(1);
			(void)!read(stop[0], &c, 1);
			rig_stop(&l);
			_exit(0);
		}
		while (fd < 0) {
			cr_assert_eq(stat(path, &seen), 0, "the name is never gone");
			fd = raw_connect(path);
			if (fd < 0)
				cr_assert_eq(errno, ECONNREFUSED);
			if (fd < 0)
				cr_assert_eq(seen.st_ino, stale.st_ino, "the new one refused");
		}
		close(fd);
		close(stop[0]);
		close(stop[1]);
		cr_assert_eq(end_of_child(pid), 0);
	}
	rig_close(&r);
}
