/* tests/os/test_files.c - directories and reading files. */
#include "rig.h"
#include <stdio.h>
#include <stdlib.h>
#if !defined(_WIN32)
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#endif

TestSuite(os_files, .init = rig_open, .fini = rig_close, .timeout = 30);

static os_file *open_ok(const char *path)
{
	os_file *f;

	cr_assert_eq(os_file_open(&rig_env, path, &f), VIA_OK, "%s", via_error());
	return f;
}

static void open_refused(const char *path, via_rc rc, const char *says)
{
	os_file *f = (os_file *)(void *)&rc;

	cr_expect_eq(os_file_open(&rig_env, path, &f), rc, "%s: %s", path, via_error());
	cr_expect(rig_error_has(says), "expected \"%s\" in \"%s\"", says, via_error());
	cr_expect_eq(f, (os_file *)(void *)&rc, "written on success only");
}

/* -- directories ---------------------------------------------------------------------------------
 */

struct names {
	uint32_t n, stop_at;
	char name[8][64];
};

static via_rc note_name(void *arg, const char *name)
{
	struct names *s = arg;

	cr_assert_lt(s->n, 8u);
	(void)snprintf(s->name[s->n++], sizeof s->name[0], "%s", name);
	return s->n == s->stop_at ? VIA_STATE : VIA_OK;
}

static int has_name(const struct names *s, const char *name)
{
	uint32_t i;

	for (i = 0; i < s->n; i++)
		if (strcmp(s->name[i], name) == 0)
			return 1;
	return 0;
}

Test(os_files, directory_is_listed)
{
	struct names s = {0};

	rig_mkdir(rig_path("d"));
	cr_assert_eq(os_dir_list(&rig_env, rig_path("d"), note_name, &s), VIA_OK);
	cr_assert_eq(s.n, 0u, "neither . nor ..");
	rig_write(rig_path("d/one"), "", 0);
	rig_write(rig_path("d/m\xc3\xbcller.so"), "", 0);
	rig_mkdir(rig_path("d/sub"));
	cr_assert_eq(os_dir_list(&rig_env, rig_path("d"), note_name, &s), VIA_OK);
	cr_assert_eq(s.n, 3u);
	cr_assert(has_name(&s, "one") && has_name(&s, "sub") && has_name(&s, "m\xc3\xbcller.so"));
}

Test(os_files, listing_stops_and_fails)
{
	struct names s = {.stop_at = 2};

	rig_mkdir(rig_path("d"));
	rig_write(rig_path("d/1"), "", 0);
	rig_write(rig_path("d/2"), "", 0);
	rig_write(rig_path("d/3"), "", 0);
	cr_assert_eq(os_dir_list(&rig_env, rig_path("d"), note_name, &s), VIA_STATE,
		     "what the function said");
	cr_assert_eq(s.n, 2u);
	cr_assert_eq(os_dir_list(&rig_env, rig_path("nowhere"), note_name, &s), VIA_NOTFOUND);
	cr_assert(rig_error_has("nowhere"), "%s", via_error());
	cr_assert_eq(os_dir_list(&rig_env, rig_path("d/1"), note_name, &s), VIA_NOTFOUND, "a file");
}

Test(os_files, absolute_paths)
{
	cr_expect(!os_path_is_absolute(""));
	cr_expect(!os_path_is_absolute("a/b"));
	cr_expect(!os_path_is_absolute("./a"));
	cr_expect(os_path_is_absolute(rig_path("x")));
#if defined(_WIN32)
	cr_expect(os_path_is_absolute("C:\\x"));
	cr_expect(os_path_is_absolute("c:/x"));
	cr_expect(os_path_is_absolute("\\\\server\\share\\x"));
	cr_expect(!os_path_is_absolute("C:x"));
	cr_expect(!os_path_is_absolute("\\x"));
	cr_expect(!os_path_is_absolute("\\\\.\\pipe\\x"));
#else
	cr_expect(os_path_is_absolute("/"));
#endif
}

/* -- files ---------------------------------------------------------------------------------------
 */

Test(os_files, reads_where_it_is_told)
{
	char buf[16] = "";
	os_file *f;

	rig_write(rig_path("f"), "0123456789", 10);
	f = open_ok(rig_path("f"));
	cr_assert_eq(os_file_read(f, 0, buf, 10), VIA_OK);
	cr_assert_arr_eq(buf, "0123456789", 10);
	cr_assert_eq(os_file_read(f, 7, buf, 3), VIA_OK);
	cr_assert_arr_eq(buf, "789", 3);
	cr_assert_eq(os_file_read(f, 10, buf, 0), VIA_OK, "nothing at the end is fine");
	os_file_close(f);
	os_file_close(NULL);
}

Test(os_files, reading_past_the_end)
{
	char buf[16];
	os_file *f;

	rig_write(rig_path("f"), "0123456789", 10);
	f = open_ok(rig_path("f"));
	cr_assert_eq(os_file_read(f, 0, buf, 11), VIA_PROTO);
	cr_assert(rig_error_has("10") && rig_error_has("11"), "%s", via_error());
	cr_assert_eq(os_file_read(f, 10, buf, 1), VIA_PROTO);
	cr_assert_eq(os_file_read(f, UINT64_C(1) << 40, buf, 1), VIA_PROTO);
	cr_assert_eq(os_file_read(f, UINT64_MAX, buf, 2), VIA_PROTO, "no wrapping around");
	cr_assert_eq(os_file_read(f, INT64_MAX, buf, 2), VIA_PROTO);
	os_file_close(f);
}

Test(os_files, identity_tells_files_apart)
{
	os_file_id a, b, c;
	os_file *f;

	rig_write(rig_path("f"), "abc", 3);
	rig_write(rig_path("g"), "abc", 3);
	f = open_ok(rig_path("f"));
	os_file_identity(f, &a);
	cr_assert_eq(a.size, 3u);
	cr_assert_eq(os_path_id(rig_path("f"), &b), VIA_OK);
	cr_assert_arr_eq(&a, &b, sizeof a, "the path still names the file");
	cr_assert_eq(os_path_id(rig_path("g"), &c), VIA_OK);
	cr_assert(a.inode != c.inode || a.device != c.device);
	rig_write(rig_path("f"), "abcd", 4);
	cr_assert_eq(os_path_id(rig_path("f"), &b), VIA_OK);
	cr_assert_eq(b.inode, a.inode);
	cr_assert_neq(b.size, a.size);
	os_file_close(f);
	cr_assert_eq(os_path_id(rig_path("nowhere"), &c), VIA_NOTFOUND);
	cr_assert(rig_error_has("nowhere"), "%s", via_error());
}

Test(os_files, what_is_not_a_regular_file_is_refused)
{
	rig_mkdir(rig_path("d"));
	rig_write(rig_path("f"), "x", 1);
	open_refused(rig_path("nowhere"), VIA_NOTFOUND, "nowhere");
	open_refused(rig_path("no/where"), VIA_NOTFOUND, "where");
	open_refused(rig_path("d"), VIA_INVAL, "a directory");
	open_refused("relative", VIA_INVAL, "relative");
#if !defined(_WIN32)
	{
		struct sockaddr_un sa = {.sun_family = AF_UNIX};
		int fd;

		cr_assert_eq(symlink("f", rig_path("link")), 0);
		cr_assert_eq(mkfifo(rig_path("fifo"), 0600), 0);
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		(void)snprintf(sa.sun_path, sizeof sa.sun_path, "%s", rig_path("sock"));
		cr_assert_eq(bind(fd, (const struct sockaddr *)&sa, sizeof sa), 0);
		close(fd);
	}
	open_refused(rig_path("link"), VIA_INVAL, "a symbolic link");
	open_refused(rig_path("fifo"), VIA_INVAL, "a named pipe");
	open_refused(rig_path("sock"), VIA_INVAL, "a socket");
	open_refused("/dev/null", VIA_INVAL, "a device");
	open_refused(rig_path("f/x"), VIA_NOTFOUND, "f/x");
	if (geteuid() != 0) {
		cr_assert_eq(chmod(rig_path("f"), 0), 0);
		open_refused(rig_path("f"), VIA_PERM, "f");
	}
#endif
}
