/* tests/link/uds_names.c - what a listener does with whatever it finds at its name. */
#include "uds_rig.h"

TestSuite(uds_names, .timeout = 60);

static void refused(rig *r, via_rc want, const char *words)
{
	rig_detail_clear();
	cr_expect_eq(rig_listen(r, NULL, &r->listener), want, "%s", rig_detail());
	cr_expect_not_null(strstr(rig_detail(), words), "expected \"%s\", found \"%s\"", words,
			   rig_detail());
}

/* -- reclaimed --------------------------------------------------------------------------------- */

Test(uds_names, the_socket_of_a_killed_server)
{
	rig r;
	pid_t pid;
	int to[2];
	char c;

	rig_open(&r, "uds");
	cr_assert_eq(pipe(to), 0);
	pid = start_child();
	if (pid == 0) {
		via_listener *l;

		if (rig_listen(&r, NULL, &l) != VIA_OK || write(to[1], "x", 1) != 1)
			_exit(1);
		raise(SIGKILL);
	}
	close(to[1]);
	cr_assert_eq(read(to[0], &c, 1), 1, "the child listens");
	close(to[0]);
	cr_assert_eq(end_of_child(pid), -1);
	cr_expect(exists(path_of(&r, "svc.sock")));
	cr_expect_eq(rig_dial(&r, NULL, &r.a), VIA_UNREACH);
	check_takes_over(&r);
	rig_close(&r);
}

Test(uds_names, dead_things_are_reclaimed)
{
	rig r;
	char path[256];

	rig_open(&r, "uds");
	snprintf(path, sizeof path, "%s", path_of(&r, "svc.sock"));
	close(raw_listen(path, SOCK_SEQPACKET, 5)); /* a socket nobody has */
	check_takes_over(&r);
	close(raw_listen(path, SOCK_STREAM, 5));
	check_takes_over(&r);
	make_file(path);
	check_takes_over(&r);
	cr_assert_eq(mkdir(path, 0700), 0);
	check_takes_over(&r);
	cr_assert_eq(mkfifo(path, 0600), 0);
	check_takes_over(&r);
	cr_assert_eq(symlink("nowhere", path), 0);
	check_takes_over(&r);
	cr_assert_eq(symlink("svc.sock", path), 0);
	check_takes_over(&r);
	rig_close(&r);
}

/* The target of a link is not ours to remove. */
Test(uds_names, a_link_goes_its_target_stays)
{
	rig r;
	char path[256];
	char target[256];
	int fd;

	rig_open(&r, "uds");
	snprintf(path, sizeof path, "%s", path_of(&r, "svc.sock"));
	snprintf(target, sizeof target, "%s", path_of(&r, "precious"));
	make_file(target);
	cr_assert_eq(symlink("precious", path), 0);
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	rig_stop(&r.listener);
	cr_expect(exists(target));
	cr_expect(!exists(path));
	unlink(target);
	fd = raw_listen(target, SOCK_SEQPACKET, 5); /* a link to a live server is that server */
	cr_assert_eq(symlink("precious", path), 0);
	refused(&r, VIA_EXISTS, "live server");
	cr_expect(exists(path));
	close(fd);
	unlink(target);
	unlink(path);
	rig_close(&r);
}

/* -- respected --------------------------------------------------------------------------------- */

Test(uds_names, a_live_server_of_ours)
{
	rig r, other;
	via_listener *l;

	rig_open(&r, "uds");
	rig_connect(&r);
	cr_expect_eq(rig_listen(&r, NULL, &l), VIA_EXISTS);
	cr_expect_not_null(strstr(rig_detail(), "owns this name"));
	rig_open(&other, "uds"); /* another registry of this process */
	cr_assert_eq(rmdir(other.dir), 0);
	snprintf(other.dir, sizeof other.dir, "%s", r.dir);
	cr_expect_eq(rig_listen(&other, NULL, &l), VIA_EXISTS);
	cr_assert_eq(rig_put(r.a, "\x1f", 1), VIA_OK);
	rig_expect_record(r.b, 1, 1);
	rig_fini_modules(&other);
	rig_check_files(&r, 2); /* the socket and its lock */
	rig_close(&r);
}

Test(uds_names, a_live_server_without_our_lock)
{
	rig r;
	char path[256];
	struct stat before, after;
	int fd, peer;

	rig_open(&r, "uds");
	snprintf(path, sizeof path, "%s", path_of(&r, "svc.sock"));
	fd = raw_listen(path, SOCK_SEQPACKET, 1);
	cr_assert_eq(stat(path, &before), 0);
	refused(&r, VIA_EXISTS, "live server");
	refused(&r, VIA_EXISTS, "live server");
	refused(&r, VIA_EXISTS, "live server"); /* its queue is full now: alive all the same */
	cr_assert_eq(stat(path, &after), 0);
	cr_expect_eq(before.st_ino, after.st_ino);
	rig_check_files(&r, 1);
	peer = accept(fd, NULL, NULL); /* it only saw somebody call and leave */
	cr_assert_geq(peer, 0);
	cr_expect_eq(recv(peer, path, 1, 0), 0);
	close(peer);
	close(fd);
	check_takes_over(&r);
	rig_close(&r);
}

/* Comes alive right before the names are exchanged or the fresh one is moved: too late for any
 * probe. */
struct intruder {
	rig *r;
	int fd;
};

static void intrude(void *arg, const char *call)
{
	struct intruder *i = arg;

	if (i->fd >= 0 || strcmp(call, "renameat2") != 0)
		return;
	unlink(path_of(i->r, "svc.sock"));
	i->fd = raw_listen(path_of(i->r, "svc.sock"), SOCK_SEQPACKET, 16);
}

static void check_intruder_stays(rig *r)
{
	struct intruder i = {r, -1};
	char c;
	int fd, peer;

	r->host.hook = intrude;
	r->host.hook_arg = &i;
	rig_detail_clear();
	cr_expect_eq(rig_listen(r, NULL, &r->listener), VIA_EXISTS);
	r->host.hook = NULL;
	cr_assert_geq(i.fd, 0, "it came");
	rig_check_files(r, 1);
	fd = raw_connect(path_of(r, "svc.sock"));
	cr_assert_geq(fd, 0, "it has its name");
	cr_assert_eq(send(fd, "x", 1, 0), 1);
	do { /* behind the probes */
		peer = accept(i.fd, NULL, NULL);
		cr_assert_geq(peer, 0);
	} while (recv(peer, &c, 1, 0) == 0 && close(peer) == 0);
	cr_expect_eq(c, 'x', "and the calls");
	close(peer);
	close(fd);
	close(i.fd);
	check_takes_over(r);
}

Test(uds_names, a_server_that_comes_alive_meanwhile)
{
	rig r;

	rig_open(&r, "uds");
	check_intruder_stays(&r); /* where nothing was */
	close(raw_listen(path_of(&r, "svc.sock"), SOCK_SEQPACKET, 5));
	check_intruder_stays(&r); /* where something dead was */
	make_file(path_of(&r, "svc.sock"));
	check_intruder_stays(&r);
	rig_close(&r);
}

/* Without exchange or exclusive rename (old kernels, some file systems) the plain calls do. */
static void no_renameat2(void *arg, const char *call)
{
	rig *r = arg;

	if (strcmp(call, "renameat2") == 0) {
		r->host.how = RIG_FAIL;
		r->host.error = EINVAL;
		r->host.fail_call = atomic_load(&r->host.calls);
	}
}

Test(uds_names, file_systems_without_exchange)
{
	rig r;
	struct stat st;

	rig_open(&r, "uds");
	r.host.hook = no_renameat2;
	r.host.hook_arg = &r;
	check_takes_over(&r);
	close(raw_listen(path_of(&r, "svc.sock"), SOCK_SEQPACKET, 5));
	check_takes_over(&r);
	make_file(path_of(&r, "svc.sock"));
	check_takes_over(&r);
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	cr_assert_eq(stat(path_of(&r, "svc.sock"), &st), 0);
	cr_expect_eq(st.st_nlink, 1);
	rig_check_files(&r, 2);
	rig_close(&r);
}

/* A probe as other implementations make it: our server goes on. */
Test(uds_names, probes_are_survived)
{
	rig r;
	char path[256];
	int i;

	rig_open(&r, "uds");
	snprintf(path, sizeof path, "%s", path_of(&r, "svc.sock"));
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	for (i = 0; i < 50; i++) {
		via_view v;
		int fd = raw_connect(path);

		cr_assert_geq(fd, 0);
		close(fd);
		cr_assert_eq(rig_accept_soon(&r, r.listener, &r.b), VIA_OK);
		cr_expect_eq(rig_get(r.b, &v), VIA_CLOSED);
		rig_hang_up(&r.b);
	}
	rig_close(&r);
}

Test(uds_names, a_full_directory_is_not_removed)
{
	rig r;
	char path[256];
	char inside[300];

	rig_open(&r, "uds");
	snprintf(path, sizeof path, "%s", path_of(&r, "svc.sock"));
	snprintf(inside, sizeof inside, "%s/x", path);
	cr_assert_eq(mkdir(path, 0700), 0);
	make_file(inside);
	refused(&r, VIA_EXISTS, "a directory");
	cr_expect(exists(inside));
	rig_check_files(&r, 1);
	unlink(inside);
	check_takes_over(&r);
	rig_close(&r);
}

/* No descriptor for the question is not an answer to it. */
Test(uds_names, exhaustion_is_not_staleness)
{
	static const int32_t errors[] = {EMFILE, ENFILE, ENOMEM, EIO};
	rig r;
	char path[256];
	struct stat before, after;
	uint32_t i, n;

	rig_open(&r, "uds");
	snprintf(path, sizeof path, "%s", path_of(&r, "svc.sock"));
	close(raw_listen(path, SOCK_SEQPACKET, 5)); /* even though it is stale */
	cr_assert_eq(stat(path, &before), 0);
	r.host.how = RIG_FAIL;
	for (i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		for (n = 1; n <= 14; n++) { /* every call before the names are exchanged */
			r.host.error = errors[i];
			r.host.fail_call = atomic_load(&r.host.calls) + n;
			cr_expect_lt(rig_listen(&r, NULL, &r.listener), 0, "call %u, error %d", n,
				     errors[i]);
			cr_assert_eq(stat(path, &after), 0);
			cr_expect_eq(before.st_ino, after.st_ino);
		}
	}
	r.host.fail_call = 0;
	check_takes_over(&r);
	rig_close(&r);
}

/* -- mode, umask, path ------------------------------------------------------------------------- */

static mode_t mode_of(rig *r, const char *config)
{
	struct stat st;

	cr_assert_eq(rig_listen(r, config, &r->listener), VIA_OK, "%s", rig_detail());
	cr_assert_eq(lstat(path_of(r, "svc.sock"), &st), 0);
	cr_assert(S_ISSOCK(st.st_mode));
	rig_stop(&r->listener);
	return st.st_mode & 07777;
}

Test(uds_names, mode_and_umask)
{
	static const mode_t masks[] = {0, 022, 077, 0777};
	rig r;
	uint32_t i;

	rig_open(&r, "uds");
	for (i = 0; i < sizeof masks / sizeof masks[0]; i++) {
		umask(masks[i]);
		cr_expect_eq(mode_of(&r, NULL), 0600);
		cr_expect_eq(mode_of(&r, "uds.mode=0660\n"), 0660);
		cr_expect_eq(mode_of(&r, "uds.mode=666\nuds.backlog=5\n"), 0666);
		cr_expect_eq(mode_of(&r, "unix.mode=0600\n"), 0600);
		cr_expect_eq(umask(masks[i]), masks[i], "the umask is not ours to change");
	}
	umask(022);
	cr_expect_eq(rig_listen(&r, "uds.mode=0888\n", &r.listener), VIA_INVAL);
	cr_expect_eq(rig_listen(&r, "uds.mode=01777\n", &r.listener), VIA_INVAL);
	cr_expect_eq(rig_listen(&r, "uds.mode=\n", &r.listener), VIA_INVAL);
	rig_close(&r);
}

/* The longest path that fits, whatever the service is called; one more says both numbers. */
Test(uds_names, path_length)
{
	rig r;
	char ns[128];
	via_address a;
	via_listener *l;
	size_t room = sizeof((struct sockaddr_un *)0)->sun_path - 1;
	size_t service;

	rig_open(&r, "uds");
	for (service = 1; service < 10; service += 4) {
		size_t dir = room - strlen("/.sock") - service;

		snprintf(ns, sizeof ns, "%s/", r.dir);
		memset(ns + strlen(ns), 'd', dir - strlen(ns));
		ns[dir] = '\0';
		cr_assert_eq(mkdir(ns, 0700), 0);
		a = rig_address(&r, &"service12345"[12 - service], NULL);
		a.ns = ns;
		cr_assert_eq(r.layer[0].t->listen(r.layer[0].self, &a, &l), VIA_OK, "%s",
			     rig_detail());
		cr_expect_eq(l->ops->address(l, NULL, 0), (via_rc)room + 1);
		l->ops->close(l);
		a.service = &"service12345"[11 - service];
		rig_detail_clear();
		cr_expect_eq(r.layer[0].t->listen(r.layer[0].self, &a, &l), VIA_INVAL);
		cr_expect_not_null(strstr(rig_detail(), "at most 107 bytes, found 108"), "%s",
				   rig_detail());
		cr_expect_eq(r.layer[0].t->dial(r.layer[0].self, &a, &r.a), VIA_INVAL);
		cr_expect_eq(rig_files(ns), 0);
		rmdir(ns);
	}
	rig_close(&r);
}

Test(uds_names, a_missing_run_directory)
{
	rig r;
	via_address a;
	via_listener *l;

	rig_open(&r, "uds");
	a = rig_address(&r, "svc", NULL);
	a.ns = "/nonexistent/run";
	rig_detail_clear();
	cr_expect_eq(r.layer[0].t->listen(r.layer[0].self, &a, &l), VIA_NOTFOUND);
	cr_expect_not_null(strstr(rig_detail(), "/nonexistent/run"), "%s", rig_detail());
	cr_expect_eq(r.layer[0].t->dial(r.layer[0].self, &a, &r.a), VIA_UNREACH);
	rig_close(&r);
}

/* -- giving the name back ---------------------------------------------------------------------- */

Test(uds_names, close_removes_only_its_own)
{
	rig r;
	char path[256];
	char lock[256];
	int fd;

	rig_open(&r, "uds");
	snprintf(path, sizeof path, "%s", path_of(&r, "svc.sock"));
	snprintf(lock, sizeof lock, "%s", path_of(&r, "svc.sock.lock"));
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	cr_assert(exists(lock));
	unlink(path); /* somebody cleaned up, somebody else came */
	fd = raw_listen(path, SOCK_SEQPACKET, 5);
	unlink(lock);
	make_file(lock);
	rig_stop(&r.listener);
	cr_expect(exists(path));
	cr_expect(exists(lock));
	close(fd);
	unlink(path);
	unlink(lock);
	rig_close(&r);
}

Test(uds_names, leftovers_of_a_crash_are_harmless)
{
	rig r;
	char fresh[256];
	char lock[256];

	rig_open(&r, "uds");
	snprintf(fresh, sizeof fresh, "%s", path_of(&r, "svc.new"));
	snprintf(lock, sizeof lock, "%s", path_of(&r, "svc.sock.lock"));
	make_file(lock);
	check_takes_over(&r);
	close(raw_listen(fresh, SOCK_SEQPACKET, 5));
	check_takes_over(&r);
	make_file(fresh);
	make_file(lock);
	check_takes_over(&r);
	cr_assert_eq(mkdir(fresh, 0700), 0);
	check_takes_over(&r);
	rig_close(&r);
}

/* A holder of the lock died while a server without it was displaced: that one gets its name
 * back. */
Test(uds_names, a_displaced_server_is_restored)
{
	rig r;
	char fresh[256];
	char path[256];
	int fd;

	rig_open(&r, "uds");
	snprintf(fresh, sizeof fresh, "%s", path_of(&r, "svc.new"));
	snprintf(path, sizeof path, "%s", path_of(&r, "svc.sock"));
	fd = raw_listen(fresh, SOCK_SEQPACKET, 5);
	close(raw_listen(path, SOCK_SEQPACKET, 5));
	refused(&r, VIA_EXISTS, "owns this name");
	cr_expect(!exists(fresh));
	cr_assert_eq(rig_dial(&r, NULL, &r.a), VIA_OK);
	rig_hang_up(&r.a);
	close(fd);
	check_takes_over(&r);
	rig_close(&r);
}

Test(uds_names, a_lock_that_is_no_file)
{
	rig r;
	char lock[256];

	rig_open(&r, "uds");
	snprintf(lock, sizeof lock, "%s", path_of(&r, "svc.sock.lock"));
	cr_assert_eq(mkdir(lock, 0700), 0);
	refused(&r, VIA_EXISTS, "found a directory");
	rmdir(lock);
	cr_assert_eq(symlink("elsewhere", lock), 0);
	refused(&r, VIA_EXISTS, "found a symbolic link");
	unlink(lock);
	rig_check_files(&r, 0);
	rig_close(&r);
}
