/* tests/link/winshm_attach.c - names that are taken, and every check a client makes before it
 * believes what it has opened. */
#include "winshm_rig.h"
#include <stddef.h>

TestSuite(winshm_attach, .timeout = 60);

static void check_attach(rig *r, via_rc rc, const char *text)
{
	rig_detail_clear();
	cr_expect_eq(wshm_attach(r, 1, 64, 64, &r->a), rc, "%s: %s", text, rig_detail());
	cr_expect_not_null(strstr(rig_detail(), text), "\"%s\" lacks \"%s\"", rig_detail(), text);
}

/* -- names that are taken ---------------------------------------------------------------------- */

/* Whoever has one of the names: the server makes no session of it, and leaves it as it was. */
static void check_taken(rig *r, HANDLE squatter, const char *suffix)
{
	static const char *const all[] = {"mapping", "req_event", "resp_event"};
	uint32_t n = rig_descriptors();
	size_t i;

	cr_assert_not_null(squatter);
	rig_detail_clear();
	cr_expect_eq(wshm_provision(r, 1, 64, 64, &r->b), VIA_EXISTS, "%s", suffix);
	cr_expect_not_null(strstr(rig_detail(), suffix), "%s", rig_detail());
	cr_expect_not_null(strstr(rig_detail(), "found it taken"), "%s", rig_detail());
	cr_expect_eq(rig_descriptors(), n);
	CloseHandle(squatter);
	for (i = 0; i < 3; i++) {
		HANDLE h = OpenEventA(SYNCHRONIZE, FALSE, raw_name(r, 1, all[i]));

		cr_expect(h == NULL && GetLastError() == ERROR_FILE_NOT_FOUND, "%s is left",
			  all[i]);
	}
	cr_expect_eq(wshm_provision(r, 1, 64, 64, &r->b), VIA_OK, "%s", rig_detail());
	rig_hang_up(&r->b);
}

static HANDLE take_mapping(const rig *r, const char *suffix)
{
	return CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, 65536,
				  raw_name(r, 1, suffix));
}

static HANDLE take_event(const rig *r, const char *suffix)
{
	return CreateEventA(NULL, FALSE, FALSE, raw_name(r, 1, suffix));
}

static HANDLE take_mutex(const rig *r, const char *suffix)
{
	return CreateMutexA(NULL, FALSE, raw_name(r, 1, suffix));
}

PROFILE_TEST(winshm_attach, a_name_that_is_taken)
{
	static HANDLE (*const how[])(const rig *, const char *) = {take_mapping, take_event,
								   take_mutex};
	rig r;
	size_t i;

	wshm_open(&r, profile[0]);
	for (i = 0; i < sizeof how / sizeof how[0]; i++) {
		check_taken(&r, how[i](&r, "mapping"), "mapping");
		if (profile[0] == BUSYWAIT)
			continue;
		check_taken(&r, how[i](&r, "req_event"), "req_event");
		check_taken(&r, how[i](&r, "resp_event"), "resp_event");
	}
	rig_close(&r);
}

PROFILE_TEST(winshm_attach, a_session_that_is_there)
{
	rig r;
	via_link *second;

	wshm_open_pair(&r, profile[0], 64, 64);
	cr_expect_eq(wshm_provision(&r, 1, 64, 64, &second), VIA_EXISTS);
	wshm_roundtrip(&r, 10, 10, 1);
	r.profile ^= HYBRID | BUSYWAIT; /* another name */
	cr_assert_eq(wshm_provision(&r, 1, 64, 64, &second), VIA_OK, "%s", rig_detail());
	second->ops->close(second);
	rig_close(&r);
}

/* -- what is at the name ----------------------------------------------------------------------- */

PROFILE_TEST(winshm_attach, what_is_no_region)
{
	rig r;
	HANDLE h;

	wshm_open(&r, profile[0]);
	check_attach(&r, VIA_NOTFOUND, "mapping");
	h = take_event(&r, "mapping");
	check_attach(&r, VIA_EXISTS, "mapping");
	CloseHandle(h);
	h = take_mapping(&r, "mapping"); /* nothing but zeros */
	check_attach(&r, VIA_PROTO, "magic: expected 0x4e535748, found 0x0");
	CloseHandle(h);
	rig_close(&r);
}

/* A mapping whose pages are not there: reading one would kill. */
PROFILE_TEST(winshm_attach, a_mapping_without_memory)
{
	rig r;
	HANDLE h;

	wshm_open(&r, profile[0]);
	h = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE | SEC_RESERVE, 0, 65536,
			       raw_name(&r, 1, "mapping"));
	cr_assert_not_null(h);
	check_attach(&r, VIA_PROTO, "expected a mapping with its memory, found state 0x2000");
	CloseHandle(h);
	rig_close(&r);
}

/* The first pages only are there. */
PROFILE_TEST(winshm_attach, a_mapping_with_some_memory)
{
	rig r;
	raw_peer p;
	HANDLE h;
	void *at;

	wshm_open(&r, profile[0]);
	h = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE | SEC_RESERVE, 0, 1 << 20,
			       raw_name(&r, 1, "mapping"));
	cr_assert_not_null(h);
	at = MapViewOfFile(h, FILE_MAP_ALL_ACCESS, 0, 0, 0);
	cr_assert_not_null(at);
	cr_assert_not_null(VirtualAlloc(at, 65536, MEM_COMMIT, PAGE_READWRITE));
	p = (raw_peer){.base = at};
	raw_set32(&p, AT_MAGIC, 0x4E535748);
	raw_set32(&p, AT_VERSION, 3);
	raw_set32(&p, AT_HEADER_LEN, 128);
	raw_set32(&p, AT_PROFILE, profile[0]);
	raw_set32(&p, AT_REQ_OFFSET, 128);
	raw_set32(&p, AT_REQ_CAP, 64);
	raw_set32(&p, AT_RESP_OFFSET, 192);
	raw_set32(&p, AT_RESP_CAP, 65536);
	check_attach(&r, VIA_PROTO, "expected 65728 bytes for the areas declared, found 65536");
	UnmapViewOfFile(at);
	CloseHandle(h);
	rig_close(&r);
}

/* Its pages come from a disk, or from somewhere else that can fail. */
PROFILE_TEST(winshm_attach, a_mapped_file)
{
	char path[MAX_PATH], name[MAX_PATH];
	rig r;
	HANDLE f, h;

	wshm_open(&r, profile[0]);
	cr_assert_gt(GetTempPathA(sizeof path, path), 0);
	cr_assert_neq(GetTempFileNameA(path, "via", 0, name), 0);
	f = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, CREATE_ALWAYS,
			FILE_FLAG_DELETE_ON_CLOSE, NULL);
	cr_assert_neq(f, INVALID_HANDLE_VALUE);
	h = CreateFileMappingA(f, NULL, PAGE_READWRITE, 0, 65536, raw_name(&r, 1, "mapping"));
	cr_assert_not_null(h);
	check_attach(&r, VIA_PROTO, "expected memory, found a mapped file");
	CloseHandle(h);
	CloseHandle(f);
	rig_close(&r);
}

Test(winshm_attach, events_that_are_missing)
{
	rig r;
	raw_peer p;
	HANDLE mutex;

	wshm_open(&r, HYBRID);
	cr_assert_eq(raw_create(&p, &r, 1, 64, 64), 0);
	CloseHandle(p.resp_event);
	p.resp_event = NULL;
	check_attach(&r, VIA_NOTFOUND, "resp_event");
	mutex = take_mutex(&r, "resp_event");
	check_attach(&r, VIA_EXISTS, "resp_event");
	CloseHandle(mutex);
	CloseHandle(p.req_event);
	p.req_event = NULL;
	check_attach(&r, VIA_NOTFOUND, "req_event");
	raw_vanish(&p);
	rig_close(&r);
}

/* -- the header -------------------------------------------------------------------------------- */

/* One field of a good region of 64 and 64 bytes changed. */
struct change {
	uint32_t at, value;
	const char *text;
};

static const struct change changes[] = {
	{AT_MAGIC, 0, "magic: expected 0x4e535748, found 0x0"},
	{AT_MAGIC, 0x4E53484D, "magic: expected 0x4e535748, found 0x4e53484d"},
	{AT_VERSION, 0, "version: expected 0x3, found 0x0"},
	{AT_VERSION, 2, "version: expected 0x3, found 0x2"},
	{AT_VERSION, 0x10003, "version: expected 0x3, found 0x10003"},
	{AT_HEADER_LEN, 64, "header_len: expected 0x80, found 0x40"},
	{AT_HEADER_LEN, 192, "header_len: expected 0x80, found 0xc0"},
	{AT_PROFILE, 0, "profile: expected 0x"},
	{AT_PROFILE, 6, "found 0x6"},
	{AT_REQ_OFFSET, 0, "found 0+64 and 192+64"},
	{AT_REQ_OFFSET, 64, "found 64+64 and 192+64"},
	{AT_REQ_OFFSET, 129, "multiples of 64, found 129+64"},
	{AT_REQ_OFFSET, 192, "response_offset: expected at least 256"},
	{AT_REQ_OFFSET, UINT32_MAX - 63, "ends below 2^32, found 4294967296 and 256"},
	{AT_REQ_CAP, 0, "found 128+0"},
	{AT_REQ_CAP, 1, "multiples of 64, found 128+1"},
	{AT_REQ_CAP, 128, "response_offset: expected at least 256"},
	{AT_REQ_CAP, UINT32_MAX - 63, "ends below 2^32, found 4294967360"},
	{AT_REQ_CAP, 1u << 31, "response_offset: expected at least 2147483776"},
	{AT_RESP_OFFSET, 0, "and 0+64"},
	{AT_RESP_OFFSET, 128, "at least 192, the end of the request area, found 128"},
	{AT_RESP_OFFSET, 200, "and 200+64"},
	{AT_RESP_OFFSET, UINT32_MAX - 63, "ends below 2^32, found 192 and 4294967296"},
	{AT_RESP_OFFSET, 1u << 20, "expected 1048640 bytes for the areas declared, found "},
	{AT_RESP_CAP, 0, "and 192+0"},
	{AT_RESP_CAP, 63, "and 192+63"},
	{AT_RESP_CAP, UINT32_MAX - 63, "ends below 2^32, found 192 and 4294967424"},
	{AT_RESP_CAP, 1u << 31, "expected 2147483840 bytes for the areas declared, found "},
};

PROFILE_TEST(winshm_attach, what_is_wrong_with_a_header)
{
	rig r;
	size_t i;

	wshm_open(&r, profile[0]);
	for (i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		raw_peer p;

		cr_assert_eq(raw_create(&p, &r, 1, 64, 64), 0);
		raw_set32(&p, changes[i].at, changes[i].value);
		check_attach(&r, VIA_PROTO, changes[i].text);
		raw_vanish(&p);
		rig_check_clean(&r);
	}
	rig_close(&r);
}

/* The other profile's header under this one's name. */
PROFILE_TEST(winshm_attach, a_header_of_the_other_profile)
{
	char text[64];
	rig r;
	raw_peer p;

	wshm_open(&r, profile[0]);
	cr_assert_eq(raw_create(&p, &r, 1, 64, 64), 0);
	raw_set32(&p, AT_PROFILE, 6 - profile[0]);
	snprintf(text, sizeof text, "profile: expected 0x%x, found 0x%x", profile[0],
		 6 - profile[0]);
	check_attach(&r, VIA_PROTO, text);
	raw_vanish(&p);
	rig_close(&r);
}

PROFILE_TEST(winshm_attach, a_region_smaller_than_agreed)
{
	rig r;
	raw_peer p;

	wshm_open(&r, profile[0]);
	cr_assert_eq(raw_create(&p, &r, 1, 64, 64), 0);
	cr_expect_eq(wshm_attach(&r, 1, 65, 64, &r.a), VIA_PROTO);
	cr_expect_not_null(strstr(rig_detail(), "at least the 65 bytes agreed, found 64"));
	raw_vanish(&p);
	rig_close(&r);
}

/* -- what is fine ------------------------------------------------------------------------------ */

PROFILE_TEST(winshm_attach, areas_apart_and_words_that_mean_nothing)
{
	uint8_t data[64];
	rig r;
	raw_peer p;
	via_view v;

	wshm_open(&r, profile[0]);
	cr_assert_eq(raw_create(&p, &r, 1, 1024, 1024), 0);
	raw_set32(&p, AT_REQ_OFFSET, 256);
	raw_set32(&p, AT_REQ_CAP, 64);
	raw_set32(&p, AT_RESP_OFFSET, 1024);
	raw_set32(&p, AT_RESP_CAP, 64);
	raw_set32(&p, AT_SPIN_TRIES, 0);
	raw_set32(&p, 60, 0xffffffff);
	memset(p.base + 80, 0xee, 48);
	cr_assert_eq(wshm_attach(&r, 1, 64, 64, &r.a), VIA_OK, "%s", rig_detail());
	cr_assert_eq(rig_send_once(r.a, "ask", 3), VIA_OK, "%s", rig_detail());
	cr_assert_eq(raw_recv(&p, data, sizeof data), 3);
	cr_assert_eq(raw_send(&p, "answer", 6), 0);
	cr_assert_eq(r.a->ops->recv(r.a, &v, 1), 1, "%s", rig_detail());
	cr_expect_eq(v.len, 6);
	cr_expect_arr_eq(v.data, "answer", 6);
	r.a->ops->release(r.a, &v, 1);
	cr_expect_arr_eq(p.base + 256, "ask", 3);
	rig_hang_up(&r.a);
	raw_vanish(&p);
	rig_close(&r);
}

/* Numbers go on from what is there, over the end of their range too. */
PROFILE_TEST(winshm_attach, sequences_start_where_they_are)
{
	static const uint64_t from[][2] = {{0, 0},          {1000, 1000},
					   {7, 3},          {INT64_MAX, INT64_MAX},
					   {UINT64_MAX, 5}, {0, UINT32_MAX}};
	rig r;
	size_t i;

	wshm_open(&r, profile[0]);
	for (i = 0; i < sizeof from / sizeof from[0]; i++) {
		raw_peer p;
		via_waitobj o = {.struct_size = sizeof o};
		via_view v;

		cr_assert_eq(raw_create(&p, &r, 1, 64, 64), 0);
		raw_set64(&p, AT_REQ_SEQ, from[i][0]);
		raw_set64(&p, AT_RESP_SEQ, from[i][1]);
		cr_assert_eq(wshm_attach(&r, 1, 64, 64, &r.a), VIA_OK);
		cr_expect_eq(r.a->ops->recv(r.a, &v, 1), VIA_AGAIN);
		cr_expect_eq(r.a->ops->arm(r.a, VIA_EV_RX, &o), VIA_OK);
		cr_expect_eq(rig_sleep(&o, rig_now()), 0);
		r.a->ops->disarm(r.a, VIA_EV_RX);
		cr_assert_eq(rig_send_once(r.a, "1", 1), VIA_OK);
		cr_expect_eq(raw_u64(&p, AT_REQ_SEQ), from[i][0] + 1);
		cr_assert_eq(raw_send(&p, "2", 1), 0);
		cr_assert_eq(r.a->ops->recv(r.a, &v, 1), 1, "%s", rig_detail());
		r.a->ops->release(r.a, &v, 1);
		cr_expect_eq(*r.a->rx_word, r.a->rx_seen);
		cr_assert_eq(rig_send_once(r.a, "3", 1), VIA_OK);
		cr_expect_eq(raw_u64(&p, AT_REQ_SEQ), from[i][0] + 2);
		rig_hang_up(&r.a);
		raw_vanish(&p);
	}
	rig_close(&r);
}

/* Random words for a header with the right start: attached or refused, and usable if attached. */
PROFILE_TEST(winshm_attach, random_headers)
{
	uint32_t state = 1, round, i, attached = 0;
	raw_peer p;
	rig r;

	wshm_open(&r, profile[0]);
	cr_assert_eq(raw_create(&p, &r, 1, 2048, 2048), 0);
	for (round = 0; round < 5000; round++) {
		via_rc rc;

		for (i = 16; i < RAW_HEADER; i += 4) {
			state = state * 1664525u + 1013904223u;
			raw_set32(&p, i, i < 32 ? (state >> 27) * 64 : state);
		}
		rc = wshm_attach(&r, 1, 64, 64, &r.a);
		cr_assert(rc == VIA_OK || rc == VIA_PROTO, "%d", rc);
		if (rc == VIA_OK) {
			via_slot s;

			attached++;
			cr_assert_eq(r.a->ops->reserve(r.a, 1, &s), VIA_OK);
			memset(s.data, 1, s.cap); /* all of it is there */
			s.len = s.cap;
			cr_assert_eq(r.a->ops->commit(r.a, &s, 1), 1);
		}
		rig_hang_up(&r.a);
	}
	cr_expect_gt(attached, 100);
	raw_vanish(&p);
	rig_close(&r);
}
