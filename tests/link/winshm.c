/* tests/link/winshm.c - bytes, names, sizes and rights of the objects, and the verbs of both ends. */
#include "winshm_rig.h"

TestSuite(winshm, .timeout = 60);

/* -- bytes ------------------------------------------------------------------------------------- */

static void put32(uint8_t *p, uint32_t at, uint32_t v)
{
	memcpy(p + at, &v, sizeof v);
}

static void put64(uint8_t *p, uint32_t at, uint64_t v)
{
	memcpy(p + at, &v, sizeof v);
}

/* The header of a region for 1000 and 5000 bytes, new. */
static void golden(uint8_t h[RAW_HEADER], uint32_t profile)
{
	memset(h, 0, RAW_HEADER);
	memcpy(h, "HWSN", 4); /* 0x4E535748 */
	put32(h, 4, 3);
	put32(h, 8, 128);
	put32(h, 12, profile);
	put32(h, 16, 128);
	put32(h, 20, 1024);
	put32(h, 24, 1152);
	put32(h, 28, 5056);
	put32(h, 32, 1024);
}

PROFILE_TEST(winshm, is_the_contracts_region_byte_for_byte)
{
	rig r;
	raw_peer p;
	uint8_t h[RAW_HEADER];
	via_view v;
	uint32_t i;

	wshm_open(&r, profile[0]);
	cr_assert_eq(wshm_provision(&r, 0x2a, 1000, 5000, &r.b), VIA_OK, "%s", rig_detail());
	cr_assert_eq(raw_attach(&p, &r, 0x2a, 0), 0);
	golden(h, profile[0]);
	cr_expect_arr_eq(p.base, h, RAW_HEADER);
	for (i = RAW_HEADER; i < 1152 + 5056; i++)
		cr_assert_eq(p.base[i], 0, "byte %u of a new region", i);
	cr_assert_eq(raw_send(&p, "question", 8), 0);
	cr_assert_eq(rig_get(r.b, &v), 1);
	r.b->ops->release(r.b, &v, 1);
	cr_assert_eq(rig_send_once(r.b, "answer", 6), VIA_OK);
	put32(h, AT_REQ_LEN, 8);
	put32(h, AT_RESP_LEN, 6);
	put64(h, AT_REQ_SEQ, 1);
	put64(h, AT_RESP_SEQ, 1);
	cr_expect_arr_eq(p.base, h, RAW_HEADER);
	cr_expect_arr_eq(p.base + 128, "question", 8);
	cr_expect_arr_eq(p.base + 1152, "answer", 6);
	rig_hang_up(&r.b);
	put32(h, AT_SERVER_CLOSED, 1);
	cr_expect_arr_eq(p.base, h, RAW_HEADER);
	raw_vanish(&p);
	rig_close(&r);
}

PROFILE_TEST(winshm, a_clients_words)
{
	rig r;
	raw_peer p;
	uint8_t h[RAW_HEADER];

	wshm_open(&r, profile[0]);
	cr_assert_eq(raw_create(&p, &r, 1, 1000, 5000), 0);
	golden(h, profile[0]);
	cr_assert_arr_eq(p.base, h, RAW_HEADER);
	cr_assert_eq(wshm_attach(&r, 1, 1000, 5000, &r.a), VIA_OK, "%s", rig_detail());
	cr_expect_arr_eq(p.base, h, RAW_HEADER);
	cr_assert_eq(rig_send_once(r.a, "question", 8), VIA_OK);
	put32(h, AT_REQ_LEN, 8);
	put64(h, AT_REQ_SEQ, 1);
	cr_expect_arr_eq(p.base, h, RAW_HEADER);
	cr_assert_eq(raw_send(&p, "answer", 6), 0);
	wshm_take(r.a);
	rig_hang_up(&r.a);
	put32(h, AT_RESP_LEN, 6);
	put64(h, AT_RESP_SEQ, 1);
	put32(h, AT_CLIENT_CLOSED, 1);
	cr_expect_arr_eq(p.base, h, RAW_HEADER);
	raw_vanish(&p);
	rig_close(&r);
}

PROFILE_TEST(winshm, sizes_are_rounded_up_to_64)
{
	static const uint32_t sizes[][4] = {/* asked, asked, rounded, response_offset */
					    {1, 1, 64, 192},
					    {64, 64, 64, 192},
					    {65, 63, 64, 256},
					    {32 + 1024, 32 + 65536, 65600, 128 + 1088}};
	rig r;
	size_t i;

	wshm_open(&r, profile[0]);
	for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		raw_peer p;

		cr_assert_eq(wshm_provision(&r, 1, sizes[i][0], sizes[i][1], &r.b), VIA_OK);
		cr_assert_eq(raw_attach(&p, &r, 1, 0), 0);
		cr_expect_eq(raw_u32(&p, AT_RESP_OFFSET), sizes[i][3]);
		cr_expect_eq(raw_u32(&p, AT_RESP_CAP), sizes[i][2]);
		raw_vanish(&p);
		rig_hang_up(&r.b);
	}
	rig_close(&r);
}

PROFILE_TEST(winshm, sizes_that_cannot_be)
{
	rig r;

	wshm_open(&r, profile[0]);
	cr_expect_eq(wshm_provision(&r, 1, UINT32_MAX, 64, &r.b), VIA_LIMIT);
	cr_expect_eq(wshm_provision(&r, 1, 64, UINT32_MAX, &r.b), VIA_LIMIT);
	cr_expect_eq(wshm_provision(&r, 1, 1u << 31, 1u << 31, &r.b), VIA_LIMIT);
	cr_expect_not_null(strstr(rig_detail(), "2147483648"), "%s", rig_detail());
	cr_expect_eq(wshm_provision(&r, 1, 0, 64, &r.b), VIA_INVAL);
	cr_expect_eq(wshm_provision(&r, 1, 64, 0, &r.b), VIA_INVAL);
	rig_close(&r);
}

Test(winshm, profiles_that_cannot_be)
{
	static const uint32_t bad[] = {0, 1, 3, 6, 8, 0x10000};
	rig r;
	size_t i;

	wshm_open(&r, HYBRID);
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		r.profile = bad[i];
		cr_expect_eq(wshm_provision(&r, 1, 64, 64, &r.b), VIA_NOTSUP);
		cr_expect_eq(wshm_attach(&r, 1, 64, 64, &r.a), VIA_NOTSUP);
		cr_expect_not_null(strstr(rig_detail(), "expected 0x2 or 0x4"));
	}
	rig_close(&r);
}

/* -- names ------------------------------------------------------------------------------------- */

/* The rows of INDEX.md in the vectors. */
static const struct named {
	const char *ns, *service;
	uint64_t token;
	uint32_t profile;
	uint64_t id;
	const char *stem;
} named[] = {
	{"/run/netdata", "cgroups-snapshot", 0, 2, 1,
	 "Local\\netipc-90a72e535d3026ed-cgroups-snapshot-p2-s0000000000000001-"},
	{"/run/netdata", "cgroups-snapshot", 0xdeadbeefcafebabe, 2, 1,
	 "Local\\netipc-dc862a8018111f88-cgroups-snapshot-p2-s0000000000000001-"},
	{"/run/netdata", "cgroups-snapshot", 0xdeadbeefcafebabe, 4, 255,
	 "Local\\netipc-dc862a8018111f88-cgroups-snapshot-p4-s00000000000000ff-"},
	{"/tmp", "a", UINT64_MAX, 2, UINT64_MAX,
	 "Local\\netipc-c07507ab13adfe15-a-p2-sffffffffffffffff-"},
};

static int exists(const char *stem, const char *suffix)
{
	char name[256];
	HANDLE h;

	snprintf(name, sizeof name, "%s%s", stem, suffix);
	h = strcmp(suffix, "mapping") == 0 ? OpenFileMappingA(FILE_MAP_READ, FALSE, name)
					   : OpenEventA(SYNCHRONIZE, FALSE, name);
	if (h != NULL)
		CloseHandle(h);
	return h != NULL;
}

static void check_names(const struct named *n, int there)
{
	int events = there && n->profile == HYBRID;

	cr_expect_eq(exists(n->stem, "mapping"), there, "%s", n->stem);
	cr_expect_eq(exists(n->stem, "req_event"), events, "%s", n->stem);
	cr_expect_eq(exists(n->stem, "resp_event"), events, "%s", n->stem);
}

Test(winshm, names_are_those_of_the_contract)
{
	rig r;
	size_t i;

	wshm_open(&r, HYBRID);
	for (i = 0; i < sizeof named / sizeof named[0]; i++) {
		via_upgrade u = wshm_upgrade(&r, named[i].service, named[i].id, 64, 64);

		u.ns = named[i].ns;
		u.auth_token = named[i].token;
		u.profile = named[i].profile;
		check_names(&named[i], 0);
		cr_assert_eq(r.layer[0].t->provision(r.layer[0].self, &u, &r.b), VIA_OK);
		check_names(&named[i], 1);
		cr_assert_eq(r.layer[0].t->attach(r.layer[0].self, &u, &r.a), VIA_OK);
		rig_hang_up(&r.a);
		rig_hang_up(&r.b);
		check_names(&named[i], 0);
	}
	rig_close(&r);
}

Test(winshm, hashes_are_those_of_the_contract)
{
	cr_expect_eq(raw_hash("", 0), 0xcbf29ce484222325u);
	cr_expect_eq(raw_hash("a", 1), 0xaf63dc4c8601ec8cu);
	cr_expect_eq(raw_hash("foobar", 6), 0x85944171f73967e8u);
	cr_expect_eq(raw_hash("/run/netdata", 12), 0xefc07ed598ac339bu);
}

static void check_name_refused(rig *r, const via_upgrade *u, via_rc rc, const char *text)
{
	via_upgrade copy = *u;

	rig_detail_clear();
	cr_expect_eq(r->layer[0].t->provision(r->layer[0].self, &copy, &r->b), rc);
	cr_expect_not_null(strstr(rig_detail(), text), "\"%s\" lacks \"%s\"", rig_detail(), text);
	rig_detail_clear();
	cr_expect_eq(r->layer[0].t->attach(r->layer[0].self, u, &r->a), rc);
	cr_expect_not_null(strstr(rig_detail(), text), "\"%s\" lacks \"%s\"", rig_detail(), text);
}

Test(winshm, names_that_cannot_be)
{
	char longest[600];
	rig r;
	via_upgrade u;

	wshm_open(&r, HYBRID);
	u = wshm_upgrade(&r, "svc", 1, 64, 64);
	memset(longest, 'x', sizeof longest);
	longest[506] = '\0'; /* and LF svc LF 0 are 512 */
	u.ns = longest;
	check_name_refused(&r, &u, VIA_TOOBIG, "at most 511 bytes, found 512");
	u.ns = longest + 1;
	cr_assert_eq(r.layer[0].t->provision(r.layer[0].self, &u, &r.b), VIA_OK);
	rig_hang_up(&r.b);
	u.ns = "x";
	longest[200] = '\0';
	u.service = longest;
	check_name_refused(&r, &u, VIA_TOOBIG, "at most 255 bytes, found");
	u.service = "a\\b";
	check_name_refused(&r, &u, VIA_INVAL, "\\");
	u.service = "\xc3\xa4";
	check_name_refused(&r, &u, VIA_INVAL, "service");
	u.service = "";
	check_name_refused(&r, &u, VIA_INVAL, "service");
	rig_close(&r);
}

/* -- rights ------------------------------------------------------------------------------------ */

union sid {
	TOKEN_USER user;
	SID sid;
	uint8_t room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
};

static void check_entry(PACL acl, DWORD i, PSID expected)
{
	void *entry;

	cr_assert(GetAce(acl, i, &entry));
	cr_expect_eq(((ACE_HEADER *)entry)->AceType, ACCESS_ALLOWED_ACE_TYPE);
	cr_expect(EqualSid(&((ACCESS_ALLOWED_ACE *)entry)->SidStart, expected), "entry %lu", i);
}

/* This user and SYSTEM may, nobody else, and nothing is inherited. */
static void check_rights(HANDLE object)
{
	union {
		SECURITY_DESCRIPTOR sd;
		uint8_t room[1024];
	} d;
	union sid user, system;
	SECURITY_DESCRIPTOR_CONTROL control;
	DWORD n = 0, revision;
	BOOL present = FALSE, defaulted;
	HANDLE token;
	PACL acl = NULL;

	cr_assert(GetKernelObjectSecurity(object, DACL_SECURITY_INFORMATION, &d, sizeof d, &n));
	cr_assert(GetSecurityDescriptorDacl(&d, &present, &acl, &defaulted));
	cr_assert(present && acl != NULL);
	cr_assert(GetSecurityDescriptorControl(&d, &control, &revision));
	cr_expect((control & SE_DACL_PROTECTED) != 0);
	cr_assert_eq(acl->AceCount, 2);
	cr_assert(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token));
	cr_assert(GetTokenInformation(token, TokenUser, &user, sizeof user, &n));
	CloseHandle(token);
	n = sizeof system;
	cr_assert(CreateWellKnownSid(WinLocalSystemSid, NULL, &system, &n));
	check_entry(acl, 0, user.user.User.Sid);
	check_entry(acl, 1, &system);
}

Test(winshm, only_this_user_may_open_the_objects)
{
	rig r;
	raw_peer p;

	wshm_open_pair(&r, HYBRID, 64, 64);
	p = (raw_peer){.mapping = OpenFileMappingA(READ_CONTROL, FALSE, raw_name(&r, 1, "mapping")),
		       .req_event = OpenEventA(READ_CONTROL, FALSE, raw_name(&r, 1, "req_event")),
		       .resp_event =
			       OpenEventA(READ_CONTROL, FALSE, raw_name(&r, 1, "resp_event"))};
	cr_assert(p.mapping != NULL && p.req_event != NULL && p.resp_event != NULL);
	check_rights(p.mapping);
	check_rights(p.req_event);
	check_rights(p.resp_event);
	raw_vanish(&p);
	rig_close(&r);
}

/* -- messages ---------------------------------------------------------------------------------- */

PROFILE_TEST(winshm, carries_messages_of_all_sizes)
{
	rig r;
	uint32_t i;

	wshm_open_pair(&r, profile[0], 4096, 8192);
	for (i = 1; i <= 4096; i += i < 200 ? 1 : 97)
		wshm_roundtrip(&r, i, 2 * i, i);
	wshm_roundtrip(&r, 4096, 8192, 7);
	rig_close(&r);
}

PROFILE_TEST(winshm, slots_are_the_area_itself)
{
	rig r;
	raw_peer p;
	via_slot s;

	wshm_open_pair(&r, profile[0], 128, 128);
	cr_assert_eq(raw_attach(&p, &r, 1, 1), 0);
	cr_assert_eq(r.a->ops->reserve(r.a, 5, &s), VIA_OK);
	cr_expect_geq(s.cap, 128);
	cr_expect_eq((uintptr_t)s.data % 64, 0);
	memcpy(s.data, "hello", 5);
	cr_expect_arr_eq(p.base + 128, "hello", 5);
	s.len = 5;
	cr_assert_eq(r.a->ops->commit(r.a, &s, 1), 1);
	wshm_take(r.b);
	raw_vanish(&p);
	rig_close(&r);
}

PROFILE_TEST(winshm, what_does_not_fit_is_refused_and_nothing_is_sent)
{
	static const uint8_t data[256];
	rig r;
	via_slot s;
	via_view v;
	via_handle h = {.kind = VIA_H_WIN, .value = 4};
	via_iov iov[2] = {{data, 100}, {data, 29}};
	via_msg m = {.iov = iov, .n_iov = 2};

	wshm_open_pair(&r, profile[0], 128, 64);
	cr_expect_eq(r.a->limits->max_record, 128);
	cr_expect_eq(r.a->ops->send(r.a, &m, 1), VIA_TOOBIG);
	cr_expect_eq(r.a->ops->reserve(r.a, 129, &s), VIA_TOOBIG);
	m = (via_msg){.iov = iov, .n_iov = 1, .handles = &h, .n_handles = 1};
	cr_expect_eq(r.a->ops->send(r.a, &m, 1), VIA_LIMIT, "no handles");
	cr_expect_eq(r.b->ops->recv(r.b, &v, 1), VIA_AGAIN);
	cr_expect_eq(rig_send_once(r.a, data, 128), VIA_OK);
	wshm_take(r.b);
	cr_expect_eq(rig_send_once(r.b, data, 65), VIA_TOOBIG, "the other way is smaller");
	cr_expect_eq(rig_send_once(r.b, data, 64), VIA_OK);
	rig_close(&r);
}

PROFILE_TEST(winshm, longer_than_expected_is_cut)
{
	rig r;
	via_view v;
	uint8_t data[200];

	wshm_open_pair(&r, profile[0], 200, 200);
	cr_expect_eq(r.b->ops->expect(r.b, 0), VIA_INVAL);
	cr_assert_eq(r.b->ops->expect(r.b, 150), VIA_OK);
	rig_fill(data, sizeof data, 1);
	cr_assert_eq(rig_send_once(r.a, data, 151), VIA_OK);
	cr_assert_eq(r.b->ops->recv(r.b, &v, 1), 1);
	cr_expect_eq(v.flags, VIA_VIEW_CUT);
	rig_check_fill(&v, 150, 1);
	cr_expect_eq(r.b->ops->expect(r.b, 200), VIA_STATE, "a view is out");
	cr_expect_eq(r.b->ops->recv(r.b, &v, 1), VIA_LIMIT, "one view at a time");
	r.b->ops->release(r.b, &v, 1);
	cr_expect_eq(r.b->ops->expect(r.b, UINT32_MAX), VIA_OK, "no more than the area");
	rig_close(&r);
}

/* A view is a copy: the peer may go on at once, and cannot change it. */
PROFILE_TEST(winshm, a_view_stays_what_it_is)
{
	rig r;
	raw_peer p;
	via_view v;

	wshm_open_pair(&r, profile[0], 64, 64);
	cr_assert_eq(raw_attach(&p, &r, 1, 0), 0);
	cr_assert_eq(raw_send(&p, "original", 8), 0);
	cr_assert_eq(r.b->ops->recv(r.b, &v, 1), 1);
	cr_expect_eq(v.flags, 0);
	cr_expect_eq((uintptr_t)v.data % 64, 0);
	memset(p.base + 128, 'x', 64);
	cr_assert_eq(rig_send_once(r.b, "b", 1), VIA_OK, "while the view is held");
	cr_expect_eq(v.len, 8);
	cr_expect_arr_eq(v.data, "original", 8);
	r.b->ops->release(r.b, &v, 1);
	raw_vanish(&p);
	rig_close(&r);
}

/* -- whose turn it is -------------------------------------------------------------------------- */

static void check_turn(rig *r, via_rc client, via_rc server)
{
	via_waitobj o = {.struct_size = sizeof o};
	via_link *link[2] = {r->a, r->b};
	via_rc rc[2] = {client, server};
	via_slot s;
	int i;

	for (i = 0; i < 2; i++) {
		cr_expect_eq(link[i]->ops->reserve(link[i], 1, &s), rc[i], "end %d", i);
		s.len = VIA_SKIP;
		if (rc[i] == VIA_OK)
			cr_assert_eq(link[i]->ops->commit(link[i], &s, 1), 1);
		else
			cr_expect_eq(rig_send_once(link[i], "x", 1), rc[i], "end %d", i);
		cr_expect_eq(link[i]->ops->arm(link[i], VIA_EV_TX, &o),
			     rc[i] == VIA_OK ? VIA_BUSY : VIA_OK, "end %d", i);
		link[i]->ops->disarm(link[i], VIA_EV_TX);
	}
}

PROFILE_TEST(winshm, the_ends_take_turns)
{
	rig r;
	via_view v;
	int i;

	wshm_open_pair(&r, profile[0], 64, 64);
	for (i = 0; i < 3; i++) {
		check_turn(&r, VIA_OK, VIA_AGAIN);
		cr_assert_eq(rig_send_once(r.a, "a", 1), VIA_OK);
		check_turn(&r, VIA_AGAIN, VIA_AGAIN);
		cr_assert_eq(r.b->ops->recv(r.b, &v, 1), 1);
		check_turn(&r, VIA_AGAIN, VIA_OK); /* it is copied */
		r.b->ops->release(r.b, &v, 1);
		cr_assert_eq(rig_send_once(r.b, "b", 1), VIA_OK);
		check_turn(&r, VIA_AGAIN, VIA_AGAIN);
		cr_assert_eq(r.a->ops->recv(r.a, &v, 1), 1);
		check_turn(&r, VIA_OK, VIA_AGAIN);
		r.a->ops->release(r.a, &v, 1);
	}
	rig_close(&r);
}

/* -- facts ------------------------------------------------------------------------------------- */

PROFILE_TEST(winshm, says_what_it_can)
{
	uint64_t waits = profile[0] == HYBRID ? VIA_CAP_POLLABLE : VIA_CAP_WORDWAIT;
	rig r;
	via_peer p = {.struct_size = sizeof p};
	const via_transport *t;

	wshm_open_pair(&r, profile[0], 64, 5000);
	t = r.layer[0].t;
	cr_expect_eq(t->roles, VIA_ROLE_UPGRADE);
	cr_expect_eq(t->profiles, 0x6);
	cr_expect_eq(t->by_request, 0x4);
	cr_expect_eq(t->needs, VIA_CAP_HUP);
	cr_expect_eq(r.a->caps, VIA_CAP_RELIABLE | VIA_CAP_ZC_TX | waits);
	cr_expect_eq(r.b->caps, r.a->caps);
	cr_expect_eq(t->probe(r.layer[0].self), 50);
	cr_expect_eq(r.a->limits->max_record, 128, "said, although the area is 64");
	cr_expect_eq(r.b->limits->max_record, 5056);
	cr_expect_eq(r.a->ops->peer(r.a, &p), VIA_NOTSUP);
	cr_expect_eq(r.a->ops->take_handles(r.a, NULL, NULL, 0), VIA_NOTSUP);
	cr_expect_null(r.a->ops->get_ext(r.a, "x"));
	rig_close(&r);
}

Test(winshm, has_no_options)
{
	rig r;

	rig_open(&r, "winshm");
	rig_fini_modules(&r);
	cr_expect_eq(rig_init_modules(&r, "winshm.x=1\n"), VIA_INVAL);
	cr_expect_not_null(strstr(rig_detail(), "winshm.x=1"));
	cr_assert_eq(rig_init_modules(&r, NULL), VIA_OK);
	rig_close(&r);
}
