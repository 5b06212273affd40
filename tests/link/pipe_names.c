/* tests/link/pipe_names.c - the pipe transport: names, owners, listeners, access, configuration. */
#include "pipe_rig.h"
#include <aclapi.h>
#include <sddl.h>
#include <stdlib.h>

TestSuite(pipe_names, .timeout = 60);

/* -- names ------------------------------------------------------------------------------------- */

static void check_name(rig *r, const char *ns, const char *service, const char *expected)
{
	via_address a = {.struct_size = sizeof a, .ns = ns, .service = service};
	char text[PIPE_TEXT_MAX];
	via_listener *l;

	cr_assert_eq(r->layer[0].t->listen(r->layer[0].self, &a, &l), VIA_OK, "%s", rig_detail());
	cr_assert_gt(l->ops->address(l, text, sizeof text), 0);
	cr_expect_str_eq(text, expected);
	cr_expect(WaitNamedPipeA(expected, 1), "it is there under that name");
	l->ops->close(l);
}

/* From docs/wire.md section 11 and its vectors. */
Test(pipe_names, vectors)
{
	rig r;

	rig_open(&r, "pipe");
	check_name(&r, "/run/netdata", "cgroups-snapshot",
		   "\\\\.\\pipe\\netipc-efc07ed598ac339b-cgroups-snapshot");
	check_name(&r, "/run/netdata/", "cgroups-snapshot",
		   "\\\\.\\pipe\\netipc-104b38f26c9bdadc-cgroups-snapshot");
	check_name(&r, "/tmp", "a", "\\\\.\\pipe\\netipc-7f7de39c4bcebddb-a");
	check_name(&r, "C:\\Windows\\Temp", "my.svc_1",
		   "\\\\.\\pipe\\netipc-6e01ccf92ea2fc89-my.svc_1");
	check_name(&r, "", "x", "\\\\.\\pipe\\netipc-cbf29ce484222325-x");
	check_name(&r, "a", "x", "\\\\.\\pipe\\netipc-af63dc4c8601ec8c-x");
	check_name(&r, "foobar", "x", "\\\\.\\pipe\\netipc-85944171f73967e8-x");
	rig_close(&r);
}

/* The bytes as given, above ASCII too: FNV-1a of c3 bc, worked out by hand. */
Test(pipe_names, directories_in_utf8)
{
	uint64_t h = ((0xCBF29CE484222325u ^ 0xC3u) * 0x100000001B3u ^ 0xBCu) * 0x100000001B3u;
	char expected[PIPE_TEXT_MAX];
	rig r;

	rig_open(&r, "pipe");
	snprintf(expected, sizeof expected, "\\\\.\\pipe\\netipc-%016llx-x", (unsigned long long)h);
	check_name(&r, "\xc3\xbc", "x", expected);
	rig_close(&r);
}

static via_rc listen_at(rig *r, const char *service)
{
	via_address a = rig_address(r, service, NULL);

	rig_detail_clear();
	return r->layer[0].t->listen(r->layer[0].self, &a, &r->listener);
}

Test(pipe_names, refused)
{
	static const char *const bad[] = {"a/b", "a\\b", "a b", "\xc3\xbc", "a\nb", "\x7f"};
	char longest[PIPE_TEXT_MAX], whole[2 * PIPE_TEXT_MAX];
	size_t fits = 255 - strlen("\\\\.\\pipe\\netipc-0123456789abcdef-");
	via_address a;
	rig r;
	uint32_t i;

	rig_open(&r, "pipe");
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		cr_expect_eq(listen_at(&r, bad[i]), VIA_INVAL, "%s", bad[i]);
		cr_expect_not_null(strstr(rig_detail(), bad[i]), "%s", rig_detail());
	}
	memset(longest, 'x', sizeof longest);
	longest[fits] = '\0';
	snprintf(whole, sizeof whole, "%.*s%s", (int)(strlen(pipe_text(&r)) - strlen("svc")),
		 pipe_text(&r), longest);
	check_name(&r, r.dir, longest, whole);
	longest[fits] = 'x';
	longest[fits + 1] = '\0';
	cr_expect_eq(listen_at(&r, longest), VIA_INVAL);
	cr_expect_not_null(strstr(rig_detail(), "255"), "%s", rig_detail());
	a = rig_address(&r, longest, NULL);
	cr_expect_eq(r.layer[0].t->dial(r.layer[0].self, &a, &r.a), VIA_INVAL);
	rig_close(&r);
}

/* -- owners ------------------------------------------------------------------------------------ */

/* A server that knows nothing of us keeps its name, and does not even notice. */
Test(pipe_names, a_foreign_server_keeps_its_name)
{
	rig r;
	HANDLE raw, client;
	char c = 0;

	rig_open(&r, "pipe");
	raw = pipe_raw_server(&r);
	cr_assert(raw != INVALID_HANDLE_VALUE);
	rig_detail_clear();
	cr_expect_eq(rig_listen(&r, NULL, &r.listener), VIA_EXISTS);
	cr_expect_not_null(strstr(rig_detail(), pipe_text(&r)), "%s", rig_detail());
	client = pipe_raw_client(&r); /* the one instance is still free */
	cr_expect_eq(rig_listen(&r, NULL, &r.listener), VIA_EXISTS, "busy, and alive");
	pipe_raw_accept(raw);
	cr_assert(pipe_raw_put(client, "x", 1));
	cr_expect_eq(pipe_raw_get(raw, &c, 1), 1);
	CloseHandle(client);
	CloseHandle(raw);
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK, "%s", rig_detail());
	rig_close(&r);
}

/* Sessions that outlive their listener are no obstacle to the next one, which can be dialled. */
Test(pipe_names, a_listener_comes_back_among_old_sessions)
{
	rig r;
	via_link *a, *b;
	uint32_t i;

	rig_open(&r, "pipe");
	rig_connect(&r);
	for (i = 0; i < 3; i++) {
		rig_stop(&r.listener);
		cr_expect_eq(rig_dial(&r, NULL, &a), VIA_AGAIN, "the name is there, nobody waits");
		cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK, "%s", rig_detail());
		cr_assert_eq(rig_dial(&r, NULL, &a), VIA_OK);
		cr_assert_eq(rig_accept_soon(&r, r.listener, &b), VIA_OK);
		rig_hang_up(&a);
		rig_hang_up(&b);
	}
	cr_assert_eq(rig_put(r.a, "\x1f", 1), VIA_OK);
	rig_expect_record(r.b, 1, 1);
	rig_close(&r);
}

/* -- listeners --------------------------------------------------------------------------------- */

enum { DIALS = 100, BURST = 12 };

struct dialler {
	rig *r;
	uint32_t refused, came;
	_Atomic int done;
};

static void dial_on(void *arg)
{
	struct dialler *d = arg;
	via_time deadline = rig_now() + RIG_SOON;

	while (d->came < DIALS && rig_now() < deadline) {
		via_link *l;
		via_rc rc = rig_dial(d->r, NULL, &l);

		if (rc != VIA_OK && rc != VIA_AGAIN)
			d->refused++;
		if (rc != VIA_OK)
			continue;
		d->came++;
		l->ops->close(l);
	}
	atomic_store(&d->done, 1);
}

/* Clients come and go while the listener accepts: the name is never without an instance. */
Test(pipe_names, accept_leaves_no_gap)
{
	rig r;
	struct dialler d = {.r = &r};
	rig_thread *t;
	uint32_t n = 0;

	rig_open(&r, "pipe");
	cr_assert_eq(rig_listen(&r, rig_option(&r, "backlog", "1"), &r.listener), VIA_OK);
	t = rig_thread_start(dial_on, &d);
	while (atomic_load(&d.done) == 0 || n < d.came) {
		via_link *b;
		via_rc rc = rig_accept(&r, r.listener, &b);

		cr_assert(rc == VIA_OK || rc == VIA_AGAIN, "%d: %s", rc, rig_detail());
		if (rc == VIA_OK) {
			b->ops->close(b);
			n++;
		}
	}
	rig_thread_join(t);
	cr_expect_eq(d.came, DIALS);
	cr_expect_eq(d.refused, 0, "%u times nobody was there", d.refused);
	rig_close(&r);
}

Test(pipe_names, a_burst_of_dials)
{
	rig r;
	via_link *a[BURST], *b[BURST];
	uint32_t i, round;

	rig_open(&r, "pipe");
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	for (round = 0; round < 5; round++) {
		for (i = 0; i < BURST; i++)
			cr_assert_eq(rig_dial(&r, NULL, &a[i]), VIA_OK, "dial %u", i);
		for (i = 0; i < BURST; i++)
			cr_assert_eq(rig_accept(&r, r.listener, &b[i]), VIA_OK, "accept %u", i);
		for (i = 0; i < BURST; i++) {
			uint8_t data[9];

			rig_fill(data, sizeof data, i);
			cr_assert_eq(rig_put(a[i], data, sizeof data), VIA_OK);
			rig_expect_record(b[i], sizeof data, i);
			rig_hang_up(&a[i]);
			rig_hang_up(&b[i]);
		}
	}
	rig_close(&r);
}

/* Callers that leave before they are accepted take no place away; what they said is heard. */
Test(pipe_names, dial_and_leave)
{
	rig r;
	uint32_t i;
	via_view v;

	rig_open(&r, "pipe");
	cr_assert_eq(rig_listen(&r, rig_option(&r, "backlog", "2"), &r.listener), VIA_OK);
	for (i = 0; i < 40; i++) {
		HANDLE raw = pipe_raw_client(&r);

		if (i % 2 != 0)
			cr_assert(pipe_raw_put(raw, "\x1f", 1));
		CloseHandle(raw);
		cr_assert_eq(rig_accept_soon(&r, r.listener, &r.b), VIA_OK);
		if (i % 2 != 0)
			rig_expect_record(r.b, 1, 1);
		cr_expect_eq(rig_get(r.b, &v), VIA_CLOSED);
		rig_hang_up(&r.b);
	}
	rig_close(&r);
}

static void accept_nothing(void *arg)
{
	rig *r = arg;
	via_waitobj o = {.struct_size = sizeof o};

	cr_assert_eq(rig_listen(r, NULL, &r->listener), VIA_OK);
	cr_assert_eq(rig_accept(r, r->listener, &r->b), VIA_AGAIN);
	cr_assert_eq(r->listener->ops->arm(r->listener, &o), VIA_OK);
}

/* Windows takes back what a thread has begun when it exits. */
Test(pipe_names, the_thread_that_listened_has_exited)
{
	rig r;

	rig_open(&r, "pipe");
	pipe_in_a_thread(accept_nothing, &r);
	cr_assert_eq(rig_dial(&r, NULL, &r.a), VIA_OK);
	cr_assert_eq(rig_accept_soon(&r, r.listener, &r.b), VIA_OK, "%s", rig_detail());
	cr_assert_eq(rig_put(r.a, "\x1f", 1), VIA_OK);
	rig_expect_record(r.b, 1, 1);
	rig_close(&r);
}

/* -- access ------------------------------------------------------------------------------------ */

/* The access list of the first waiting instance, as text. */
static const char *access_of(const rig *r)
{
	static char copy[600];
	PSECURITY_DESCRIPTOR d = NULL;
	char *text = NULL;
	HANDLE h = CreateFileA(pipe_text(r), GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
			       0, NULL);

	cr_assert(h != INVALID_HANDLE_VALUE, "error %lu", GetLastError());
	cr_assert_eq(GetSecurityInfo(h, SE_KERNEL_OBJECT, DACL_SECURITY_INFORMATION, NULL, NULL,
				     NULL, NULL, &d),
		     ERROR_SUCCESS);
	cr_assert(ConvertSecurityDescriptorToStringSecurityDescriptorA(d, SDDL_REVISION_1,
								       DACL_SECURITY_INFORMATION,
								       &text, NULL));
	snprintf(copy, sizeof copy, "%s", text);
	LocalFree(text);
	LocalFree(d);
	CloseHandle(h);
	return copy;
}

static const char *own_sid(void)
{
	static char copy[200];
	union {
		TOKEN_USER user;
		char room[256];
	} u;
	HANDLE t;
	DWORD n;
	char *text = NULL;

	cr_assert(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &t));
	cr_assert(GetTokenInformation(t, TokenUser, &u, sizeof u, &n));
	CloseHandle(t);
	cr_assert(ConvertSidToStringSidA(u.user.User.Sid, &text));
	snprintf(copy, sizeof copy, "%s", text);
	LocalFree(text);
	return copy;
}

static int count(const char *text, const char *what)
{
	int n = 0;

	while ((text = strstr(text, what)) != NULL) {
		n++;
		text++;
	}
	return n;
}

static void check_access(const char *config, const char *group)
{
	const char *text;
	rig r;

	rig_open(&r, "pipe");
	cr_assert_eq(rig_listen(&r, config, &r.listener), VIA_OK, "%s", rig_detail());
	text = access_of(&r);
	cr_expect_not_null(strstr(text, own_sid()), "%s", text);
	cr_expect_not_null(strstr(text, ";SY)"), "%s", text);
	cr_expect_eq(count(text, "(A;"), group == NULL ? 2 : 3, "%s", text);
	cr_expect_eq(count(text, "("), group == NULL ? 2 : 3, "%s", text);
	if (group != NULL) { /* reads and writes, but makes no instances: bit 0x4 is not there */
		cr_expect_not_null(strstr(text, group), "%s", text);
		cr_expect_not_null(strstr(text, "0x12019b"), "%s", text);
	}
	rig_stop(&r.listener);
	rig_close(&r);
}

Test(pipe_names, access_is_the_users_own)
{
	check_access(NULL, NULL);
	check_access("pipe.access=user\n", NULL);
	check_access("pipe.sddl=D:(A;;GA;;;WD)\npipe.access=user\n", NULL);
}

Test(pipe_names, access_may_be_widened)
{
	check_access("pipe.access=authenticated\n", ";AU)");
	check_access("npipe.access=everyone\n", ";WD)");
}

Test(pipe_names, access_as_a_text)
{
	const char *text;
	rig r;

	rig_open(&r, "pipe");
	cr_assert_eq(rig_listen(&r, "pipe.sddl=D:P(A;;GA;;;WD)\n", &r.listener), VIA_OK, "%s",
		     rig_detail());
	text = access_of(&r);
	cr_expect_eq(count(text, "("), 1, "%s", text);
	cr_expect_not_null(strstr(text, ";WD)"), "%s", text);
	rig_close(&r);
}

Test(pipe_names, configuration_is_checked)
{
	static const struct {
		const char *line, *word;
	} bad[] = {
		{"pipe.access=nobody\n", "nobody"},
		{"pipe.access=\n", "everyone"},
		{"pipe.access=User\n", "User"},
		{"pipe.sddl=\n", "pipe.sddl"},
		{"pipe.sddl=garbage\n", "garbage"},
		{"pipe.sddl=D:P(A;;GA;;;SY\n", "D:P(A;;GA;;;SY"},
		{"pipe.sddl=D:\xc3\xbc\n", "0xc3"},
		{"pipe.backlog=255\n", "254"},
		{"pipe.backlog=-1\n", "-1"},
		{"pipe.packet=127\n", "127"},
		{"pipe.packet=16777217\n", "16777216"},
		{"pipe.packet\n", "key=value"},
		{"pipe.=1\n", "unknown"},
		{"uds.backlog=1\n", "unknown"},
	};
	char line[700];
	rig r;
	uint32_t i;

	rig_open(&r, "pipe");
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		rig_detail_clear();
		cr_expect_eq(rig_listen(&r, bad[i].line, &r.listener), VIA_INVAL, "%s",
			     bad[i].line);
		cr_expect_not_null(strstr(rig_detail(), bad[i].word), "%s", rig_detail());
		cr_expect_eq(rig_dial(&r, bad[i].line, &r.a), VIA_INVAL, "%s", bad[i].line);
	}
	memset(line, 'x', sizeof line - 1);
	memcpy(line, "pipe.sddl=", strlen("pipe.sddl="));
	line[sizeof line - 1] = '\0';
	cr_expect_eq(rig_listen(&r, line, &r.listener), VIA_INVAL);
	cr_assert_eq(rig_listen(&r, "pipe.packet=200000\n\npipe.backlog=3\n", &r.listener), VIA_OK);
	cr_assert_eq(rig_dial(&r, "pipe.packet=300000\n", &r.a), VIA_OK);
	cr_assert_eq(rig_accept_soon(&r, r.listener, &r.b), VIA_OK);
	cr_expect_eq(r.a->limits->max_record, 300000);
	cr_expect_eq(r.b->limits->max_record, 200000);
	rig_close(&r);
}
