/* tests/link/posixshm_stale.c - every row of the stale rule, the sweep, and owners that die. */
#include "posixshm_rig.h"
#include <sys/resource.h>
#include <time.h>

TestSuite(posixshm_stale, .timeout = 60);

#define OLD 1000000000 /* a date long before any process of today */

/* What lies at the name of session 1 gives way to a region, and nothing else is left. */
static void check_gives_way(rig *r, const char *what)
{
	via_rc rc = shm_provision(r, 1, 64, 64, &r->b);

	cr_assert_eq(rc, VIA_OK, "%s: %d, %s", what, rc, rig_detail());
	cr_assert_eq(shm_attach(r, 1, 64, 64, &r->a), VIA_OK, "%s: %s", what, rig_detail());
	rig_hang_up(&r->a);
	rig_hang_up(&r->b);
	rig_check_files(r, 0);
}

/* What lies there stays as it is. */
static void check_stays(rig *r, const char *what, const char *text)
{
	uint64_t inode = shm_inode(shm_path(r, 1));

	cr_expect_eq(shm_provision(r, 1, 64, 64, &r->b), VIA_EXISTS, "%s", what);
	cr_expect_not_null(strstr(rig_detail(), text), "%s: %s", what, rig_detail());
	cr_expect_neq(inode, 0);
	cr_expect_eq(shm_inode(shm_path(r, 1)), inode, "%s", what);
	rig_check_clean(r);
}

/* The name is used once, so that the sweep has been and it is the rule for one name that is seen. */
static void open_swept(rig *r)
{
	rig_open(r, "posixshm");
	check_gives_way(r, "nothing");
}

/* -- rows -------------------------------------------------------------------------------------- */

Test(posixshm_stale, junk_is_removed)
{
	static const uint8_t zeros[64];
	rig r;

	open_swept(&r);
	shm_write(shm_path(&r, 1), "", 0, 0);
	check_gives_way(&r, "empty file");
	shm_write(shm_path(&r, 1), "MHSN", 4, 63);
	check_gives_way(&r, "63 bytes");
	shm_write(shm_path(&r, 1), zeros, sizeof zeros, 4096);
	check_gives_way(&r, "bad magic");
	cr_assert_eq(mkfifo(shm_path(&r, 1), 0600), 0);
	check_gives_way(&r, "pipe");
	cr_assert_eq(mkdir(shm_path(&r, 1), 0700), 0);
	check_gives_way(&r, "empty directory");
	rig_close(&r);
}

Test(posixshm_stale, links_are_removed_and_their_targets_are_not)
{
	rig r;
	char target[256];
	uint64_t inode;

	open_swept(&r);
	snprintf(target, sizeof target, "%s", shm_path_of(&r, "target"));
	shm_write_region(target, shm_dead_pid(), 1);
	inode = shm_inode(target);
	cr_assert_eq(symlink(target, shm_path(&r, 1)), 0);
	cr_assert_eq(shm_provision(&r, 1, 64, 64, &r.b), VIA_OK, "%s", rig_detail());
	rig_hang_up(&r.b);
	cr_expect_eq(shm_inode(target), inode);
	unlink(target);
	cr_assert_eq(symlink(target, shm_path(&r, 1)), 0);
	check_gives_way(&r, "dangling link");
	cr_assert_eq(symlink(shm_path(&r, 1), shm_path(&r, 1)), 0);
	check_gives_way(&r, "link to itself");
	rig_close(&r);
}

Test(posixshm_stale, dead_regions_are_removed)
{
	rig r;

	open_swept(&r);
	shm_write_region(shm_path(&r, 1), shm_dead_pid(), 99);
	check_gives_way(&r, "dead owner");
	shm_write_region(shm_path(&r, 1), getpid(), 0);
	check_gives_way(&r, "generation 0");
	shm_write_region(shm_path(&r, 1), 0, 99);
	check_gives_way(&r, "pid 0");
	shm_write_region(shm_path(&r, 1), -1, 99);
	check_gives_way(&r, "pid -1");
	shm_write_region(shm_path(&r, 1), INT32_MIN, 99);
	check_gives_way(&r, "lowest pid");
	shm_write_region(shm_path(&r, 1), INT32_MAX, 99);
	check_gives_way(&r, "highest pid");
	rig_close(&r);
}

Test(posixshm_stale, live_regions_stay)
{
	rig r;
	via_link *other;

	open_swept(&r);
	shm_write_region(shm_path(&r, 1), getpid(), 99);
	check_stays(&r, "own", "in use by a living process");
	unlink(shm_path(&r, 1));
	shm_write_region(shm_path(&r, 1), getppid(), 99);
	check_stays(&r, "parent's", "in use by a living process");
	unlink(shm_path(&r, 1));
	cr_assert_eq(shm_provision(&r, 1, 64, 64, &other), VIA_OK);
	cr_expect_eq(shm_provision(&r, 1, 64, 64, &r.b), VIA_EXISTS, "the module's own");
	cr_assert_eq(shm_attach(&r, 1, 64, 64, &r.a), VIA_OK);
	cr_assert_eq(rig_send_once(r.a, "a", 1), VIA_OK, "it works on");
	r.b = other;
	rig_close(&r);
}

Test(posixshm_stale, what_cannot_be_removed_stays)
{
	rig r;
	char inside[256];

	open_swept(&r);
	cr_assert_eq(mkdir(shm_path(&r, 1), 0700), 0);
	snprintf(inside, sizeof inside, "%s/x", shm_path(&r, 1));
	shm_write(inside, "x", 1, 1);
	check_stays(&r, "directory with something in it", "cannot be removed");
	unlink(inside);
	check_gives_way(&r, "empty again");
	rig_close(&r);
}

/* The first open() makes the file, the second looks at what is there. */
Test(posixshm_stale, what_cannot_be_looked_at_stays)
{
	static const struct {
		const char *call;
		uint32_t nth;
		int error;
	} denied[] = {{"open", 2, EMFILE}, {"open", 2, ENFILE}, {"open", 2, EIO},
		      {"open", 2, ENOMEM}, {"fstat", 1, EIO},   {"fstat", 1, ENOENT},
		      {"pread", 1, EIO},   {"lstat", 1, EIO},   {"unlink", 1, EBUSY}};
	rig r;
	size_t i;

	open_swept(&r);
	shm_write_region(shm_path(&r, 1), shm_dead_pid(), 99);
	for (i = 0; i < sizeof denied / sizeof denied[0]; i++) {
		shm_deny(&r, denied[i].call, denied[i].nth, denied[i].error);
		check_stays(&r, denied[i].call, "cannot be");
	}
	check_gives_way(&r, "no fault");
	/* What may not be opened is junk by the rule. */
	shm_write_region(shm_path(&r, 1), getpid(), 99);
	shm_deny(&r, "open", 2, EACCES);
	check_gives_way(&r, "not permitted");
	rig_close(&r);
}

Test(posixshm_stale, descriptors_run_out)
{
	rig r;
	struct rlimit was, none;

	open_swept(&r);
	shm_write_region(shm_path(&r, 1), shm_dead_pid(), 99);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = was.rlim_max};
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	cr_expect_eq(shm_provision(&r, 1, 64, 64, &r.b), VIA_LIMIT);
	cr_expect_eq(shm_attach(&r, 1, 64, 64, &r.a), VIA_AGAIN);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	cr_expect(shm_exists(shm_path(&r, 1)));
	check_gives_way(&r, "descriptors are back");
	rig_close(&r);
}

/* Another file takes the name. */
static void replace_region(rig *r, int32_t pid)
{
	char fresh[256];

	snprintf(fresh, sizeof fresh, "%s", shm_path_of(r, "fresh"));
	shm_write_region(fresh, pid, 99);
	cr_assert_eq(rename(fresh, shm_path(r, 1)), 0);
}

static void become_live(rig *r)
{
	replace_region(r, getpid());
}

/* Between the look and the removal another server puts its own region there. */
Test(posixshm_stale, only_what_was_looked_at_is_removed)
{
	rig r;

	open_swept(&r);
	shm_write_region(shm_path(&r, 1), shm_dead_pid(), 99);
	shm_before(&r, "lstat", 1, become_live);
	cr_expect_eq(shm_provision(&r, 1, 64, 64, &r.b), VIA_EXISTS);
	check_stays(&r, "the new one", "in use by a living process");
	unlink(shm_path(&r, 1));
	rig_close(&r);
}

Test(posixshm_stale, close_leaves_a_foreign_file_alone)
{
	rig r;

	rig_open(&r, "posixshm");
	cr_assert_eq(shm_provision(&r, 1, 64, 64, &r.b), VIA_OK);
	become_live(&r);
	rig_hang_up(&r.b);
	cr_expect(shm_exists(shm_path(&r, 1)));
	unlink(shm_path(&r, 1));
	rig_close(&r);
}

/* -- pids that were given away again ----------------------------------------------------------- */

static void age(const char *path, time_t when)
{
	struct timespec t[2] = {{.tv_sec = when}, {.tv_sec = when}};

	cr_assert_eq(utimensat(AT_FDCWD, path, t, 0), 0);
}

/* A process that lives until the pipe closes; it maps the file at path unless that is NULL. */
static pid_t start_owner(const char *path, int *keep)
{
	raw_peer p;
	int ready[2], stop[2];
	pid_t pid;
	char c = 'r';

	cr_assert(pipe(ready) == 0 && pipe(stop) == 0);
	pid = shm_child();
	if (pid == 0) {
		close(stop[1]);
		if (path != NULL && raw_attach(&p, path, 1) != 0)
			_exit(1);
		(void)!write(ready[1], &c, 1);
		(void)!read(stop[0], &c, 1);
		_exit(0);
	}
	close(ready[1]);
	close(stop[0]);
	cr_assert_eq(read(ready[0], &c, 1), 1);
	close(ready[0]);
	*keep = stop[1];
	return pid;
}

Test(posixshm_stale, a_pid_given_to_another_process_does_not_keep_a_region)
{
	rig r;
	int keep;
	pid_t pid;

	open_swept(&r);
	pid = start_owner(NULL, &keep);
	r.descriptors = rig_descriptors();
	shm_write_region(shm_path(&r, 1), pid, 99);
	check_stays(&r, "written while that process lived", "in use");
	age(shm_path(&r, 1), time(NULL) - 1);
	check_stays(&r, "written a moment before it started", "in use");
	age(shm_path(&r, 1), OLD);
	check_gives_way(&r, "written long before it started");
	close(keep);
	r.descriptors--;
	cr_expect_eq(shm_child_ends(pid), 0);
	rig_close(&r);
}

/* Any doubt keeps it: a clock that was set, a /proc that cannot be read. */
Test(posixshm_stale, in_doubt_a_region_is_live)
{
	static const char *const denied[] = {"read", "open"};
	rig r;
	int keep;
	pid_t pid;
	uint32_t i;

	open_swept(&r);
	shm_write_region(shm_path(&r, 1), 1, 99);
	pid = start_owner(shm_path(&r, 1), &keep);
	r.descriptors = rig_descriptors();
	replace_region(&r, pid);
	age(shm_path(&r, 1), OLD);
	check_stays(&r, "it maps a file of that name", "in use");
	close(keep);
	cr_expect_eq(shm_child_ends(pid), 0);
	pid = start_owner(NULL, &keep);
	unlink(shm_path(&r, 1));
	shm_write_region(shm_path(&r, 1), pid, 99);
	age(shm_path(&r, 1), OLD);
	/* Each of "stat" and "maps" of /proc/PID is opened and read once or more. */
	for (i = 0; i < 4; i++) {
		shm_deny(&r, denied[i % 2], i / 2 + (i % 2 == 1 ? 3 : 1), EIO);
		check_stays(&r, denied[i % 2], "in use");
	}
	shm_deny(&r, "kill", 1, EPERM);
	check_gives_way(&r, "another user's process, started later");
	shm_write_region(shm_path(&r, 1), pid, 99);
	shm_deny(&r, "kill", 1, EPERM);
	check_stays(&r, "another user's process", "in use");
	shm_deny(&r, "kill", 1, EINVAL);
	check_stays(&r, "kill() fails", "in use");
	unlink(shm_path(&r, 1));
	close(keep);
	r.descriptors--;
	cr_expect_eq(shm_child_ends(pid), 0);
	rig_close(&r);
}

/* Killed, but its parent has not asked for its status yet. */
Test(posixshm_stale, a_zombie_does_not_keep_a_region)
{
	rig r;
	siginfo_t how;
	pid_t pid;

	open_swept(&r);
	pid = shm_child();
	if (pid == 0)
		_exit(0);
	cr_assert_eq(waitid(P_PID, (id_t)pid, &how, WEXITED | WNOWAIT), 0);
	shm_write_region(shm_path(&r, 1), pid, 99);
	check_gives_way(&r, "zombie");
	cr_expect_eq(shm_child_ends(pid), 0);
	rig_close(&r);
}

/* -- owners that die --------------------------------------------------------------------------- */

/* A server with three sessions is killed. */
static void kill_a_server(rig *r)
{
	pid_t pid;
	int ready[2];
	char c = 'r';

	cr_assert_eq(pipe(ready), 0);
	pid = shm_child();
	if (pid == 0) {
		uint64_t id;
		via_link *l;

		for (id = 1; id <= 3; id++)
			if (shm_provision(r, id, 64, 64, &l) != VIA_OK)
				_exit(1);
		(void)!write(ready[1], &c, 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	cr_assert_eq(read(ready[0], &c, 1), 1);
	close(ready[0]);
	rig_check_files(r, 3);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(shm_child_ends(pid), -1);
	rig_check_files(r, 3);
}

Test(posixshm_stale, the_next_session_of_that_name_takes_it)
{
	rig r;

	open_swept(&r);
	kill_a_server(&r);
	cr_assert_eq(shm_provision(&r, 2, 64, 64, &r.b), VIA_OK, "%s", rig_detail());
	rig_check_files(&r, 3);
	rig_hang_up(&r.b);
	rig_check_files(&r, 2);
	unlink(shm_path(&r, 1));
	unlink(shm_path(&r, 3));
	rig_close(&r);
}

Test(posixshm_stale, the_next_start_sweeps)
{
	rig r;

	rig_open(&r, "posixshm");
	kill_a_server(&r);
	cr_assert_eq(shm_provision(&r, 77, 64, 64, &r.b), VIA_OK, "%s", rig_detail());
	rig_check_files(&r, 1);
	cr_expect(shm_exists(shm_path(&r, 77)));
	rig_close(&r);
}

/* -- sweep ------------------------------------------------------------------------------------- */

static void make_dead(rig *r, const char *name, int32_t pid)
{
	shm_write_region(shm_path_of(r, name), pid, 99);
}

static via_rc provision_of(rig *r, const char *service, uint64_t id, via_link **out)
{
	via_upgrade u = shm_upgrade(r, service, id, 64, 64);

	return r->layer[0].t->provision(r->layer[0].self, &u, out);
}

Test(posixshm_stale, a_sweep_knows_names_exactly)
{
	static const char *const others[] = {"a-b-0000000000000001.ipcshm",
					     "a-0000000000000001-0000000000000001.ipcshm",
					     "a-000000000000000A.ipcshm",
					     "a-000000000000001.ipcshm",
					     "a-00000000000000001.ipcshm",
					     "a-0000000000000001.ipcshm.x",
					     "a-0000000000000001",
					     "a-0000000000000001.ipcsh",
					     "aa-0000000000000001.ipcshm",
					     "0000000000000001.ipcshm",
					     "-0000000000000001.ipcshm",
					     "A-0000000000000001.ipcshm",
					     "a-\377\37600000000000001.ipcshm",
					     "a-g000000000000001.ipcshm"};
	enum { N = sizeof others / sizeof others[0] };
	int32_t dead = shm_dead_pid();
	rig r;
	size_t i;

	rig_open(&r, "posixshm");
	for (i = 0; i < N; i++)
		make_dead(&r, others[i], dead);
	make_dead(&r, "a-0123456789abcdef.ipcshm", dead);
	make_dead(&r, "a-ffffffffffffffff.ipcshm", dead);
	make_dead(&r, "a-0000000000000002.ipcshm", getpid());
	cr_assert_eq(provision_of(&r, "a", 1, &r.b), VIA_OK, "%s", rig_detail());
	for (i = 0; i < N; i++)
		cr_expect(shm_exists(shm_path_of(&r, others[i])), "%s", others[i]);
	cr_expect(shm_exists(shm_path_of(&r, "a-0000000000000002.ipcshm")), "live");
	rig_check_files(&r, N + 2);
	for (i = 0; i < N; i++)
		unlink(shm_path_of(&r, others[i]));
	unlink(shm_path_of(&r, "a-0000000000000002.ipcshm"));
	rig_close(&r);
}

Test(posixshm_stale, a_service_is_swept_once)
{
	int32_t dead = shm_dead_pid();
	rig r;
	via_link *l;

	rig_open(&r, "posixshm");
	make_dead(&r, "a-0000000000000009.ipcshm", dead);
	cr_assert_eq(provision_of(&r, "a", 1, &r.a), VIA_OK);
	rig_check_files(&r, 1);
	make_dead(&r, "a-0000000000000009.ipcshm", dead);
	make_dead(&r, "b-0000000000000009.ipcshm", dead);
	cr_assert_eq(provision_of(&r, "a", 2, &l), VIA_OK);
	l->ops->close(l);
	rig_check_files(&r, 3);
	cr_assert_eq(provision_of(&r, "b", 1, &r.b), VIA_OK);
	rig_check_files(&r, 3);
	cr_expect_not(shm_exists(shm_path_of(&r, "b-0000000000000009.ipcshm")));
	unlink(shm_path_of(&r, "a-0000000000000009.ipcshm"));
	rig_close(&r);
}

/* The oldest is forgotten, and looked for again. */
Test(posixshm_stale, more_services_than_are_remembered)
{
	int32_t dead = shm_dead_pid();
	rig r;
	char name[64];
	int i;

	rig_open(&r, "posixshm");
	for (i = 0; i < 300; i++) {
		char service[16];

		snprintf(service, sizeof service, "s%d", i % 150);
		snprintf(name, sizeof name, "%s-0000000000000009.ipcshm", service);
		make_dead(&r, name, dead);
		cr_assert_eq(provision_of(&r, service, 1, &r.b), VIA_OK);
		rig_check_files(&r, 1);
		rig_hang_up(&r.b);
	}
	rig_close(&r);
}

Test(posixshm_stale, a_sweep_of_a_crowd)
{
	int32_t dead = shm_dead_pid();
	rig r;
	uint64_t i;

	rig_open(&r, "posixshm");
	for (i = 100; i < 700; i++)
		shm_write_region(shm_path(&r, i), i % 100 == 0 ? getpid() : dead, 99);
	cr_assert_eq(shm_provision(&r, 1, 64, 64, &r.b), VIA_OK);
	rig_check_files(&r, 1 + 6);
	for (i = 100; i < 700; i += 100)
		unlink(shm_path(&r, i));
	rig_close(&r);
}

/* A sweep that could not be made is made at the next session. */
Test(posixshm_stale, a_sweep_that_fails_stops_nobody)
{
	static const char *const denied[] = {"open", "getdents64"};
	int32_t dead = shm_dead_pid();
	rig r;
	int i;

	for (i = 0; i < 2; i++) {
		rig_open(&r, "posixshm");
		shm_write_region(shm_path(&r, 9), dead, 99);
		shm_deny(&r, denied[i], 1, EMFILE);
		cr_assert_eq(shm_provision(&r, 1, 64, 64, &r.b), VIA_OK, "%s", rig_detail());
		rig_check_files(&r, 2);
		rig_hang_up(&r.b);
		check_gives_way(&r, "swept now");
		rig_close(&r);
	}
}

/* The first open() of a sweep is the directory's, the second that of the file. */
Test(posixshm_stale, a_sweep_leaves_what_may_not_be_opened)
{
	rig r;

	rig_open(&r, "posixshm");
	shm_write_region(shm_path(&r, 9), shm_dead_pid(), 99);
	shm_deny(&r, "open", 2, EACCES);
	cr_assert_eq(shm_provision(&r, 1, 64, 64, &r.b), VIA_OK, "%s", rig_detail());
	rig_check_files(&r, 2);
	rig_hang_up(&r.b);
	unlink(shm_path(&r, 9));
	rig_close(&r);
}

Test(posixshm_stale, the_directorys_mode_plays_no_part)
{
	rig r;

	rig_open(&r, "posixshm");
	cr_assert_eq(chmod(r.dir, 0775), 0);
	shm_write_region(shm_path(&r, 9), shm_dead_pid(), 99);
	check_gives_way(&r, "group-writable directory");
	rig_close(&r);
}
