/* tests/link/posixshm.c - the region's bytes, names and sizes, and the verbs of both ends. */
#include "posixshm_rig.h"
#include "vec.h"

TestSuite(posixshm, .timeout = 60);

/* -- bytes ------------------------------------------------------------------------------------- */

/* The message of shm-request-area-after-1-roundtrip. */
static void increment(uint8_t out[40], uint16_t kind, uint64_t value)
{
	uint16_t v16;
	uint32_t v32;
	uint64_t v64 = 1;

	memset(out, 0, 40);
	memcpy(out, &(uint32_t){0x4E495043}, 4);
	v16 = 1;
	memcpy(out + 4, &v16, 2);
	v16 = 32;
	memcpy(out + 6, &v16, 2);
	memcpy(out + 8, &kind, 2);
	v16 = 1;
	memcpy(out + 12, &v16, 2);
	v32 = 8;
	memcpy(out + 16, &v32, 4);
	v32 = 1;
	memcpy(out + 20, &v32, 4);
	memcpy(out + 24, &v64, 8);
	memcpy(out + 32, &value, 8);
}

static void check_vector(const char *name, const void *data, size_t len)
{
	vec v;

	cr_assert_eq(vec_load("live", name, &v), 0, "%s", vec_error());
	cr_assert_eq(v.len, len);
	cr_expect(vec_equal(&v, data, len), "%s differs at byte %ld", name,
		  vec_difference(&v, data, len));
	vec_free(&v);
}

Test(posixshm, is_the_live_region_byte_for_byte)
{
	rig r;
	raw_peer p;
	struct stat st;
	uint8_t m[40];
	via_view v;

	rig_open(&r, "posixshm");
	cr_assert_eq(shm_provision(&r, 0x2a, 1000, 5000, &r.b), VIA_OK, "%s", rig_detail());
	cr_assert_eq(stat(shm_path_of(&r, "svc-000000000000002a.ipcshm"), &st), 0);
	cr_expect_eq(st.st_size, 6144);
	cr_expect_eq(st.st_mode, S_IFREG | 0600u);
	cr_expect_geq(st.st_blocks * 512, 6144, "no sparse file");
	cr_assert_eq(raw_attach(&p, shm_path(&r, 0x2a), 0), 0);
	check_vector("shm-header-fresh-1000-5000", p.base, 64);
	cr_expect_eq(raw_u32(&p, AT_PID), (uint32_t)getpid());
	cr_expect_neq(raw_u32(&p, AT_GENERATION), 0);
	increment(m, 1, 41);
	cr_assert_eq(raw_send(&p, m, sizeof m), 0);
	cr_assert_eq(shm_get(r.b, &v), 1);
	cr_expect_eq(v.len, sizeof m);
	cr_expect_arr_eq(v.data, m, sizeof m);
	r.b->ops->release(r.b, &v, 1);
	increment(m, 2, 42);
	cr_assert_eq(rig_send_once(r.b, m, sizeof m), VIA_OK);
	check_vector("shm-header-after-1-roundtrip", p.base, 64);
	check_vector("shm-request-area-after-1-roundtrip", p.base + 64, 40);
	cr_expect_arr_eq(p.base + 1088, m, sizeof m);
	raw_close(&p);
	rig_close(&r);
}

Test(posixshm, sizes_are_rounded_up_to_64)
{
	static const uint32_t sizes[][4] = {/* asked, asked, file, response_offset */
					    {1, 1, 192, 128},
					    {64, 64, 192, 128},
					    {65, 63, 256, 192},
					    {32 + 1024, 32 + 65536, 66752, 64 + 1088}};
	rig r;
	size_t i;

	rig_open(&r, "posixshm");
	for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		raw_peer p;

		cr_assert_eq(shm_provision(&r, 1, sizes[i][0], sizes[i][1], &r.b), VIA_OK);
		cr_assert_eq(raw_attach(&p, shm_path(&r, 1), 0), 0);
		cr_expect_eq(p.size, sizes[i][2]);
		cr_expect_eq(raw_u32(&p, AT_RESP_OFFSET), sizes[i][3]);
		raw_close(&p);
		rig_hang_up(&r.b);
	}
	rig_close(&r);
}

Test(posixshm, sizes_that_cannot_be)
{
	rig r;

	rig_open(&r, "posixshm");
	cr_expect_eq(shm_provision(&r, 1, UINT32_MAX, 64, &r.b), VIA_LIMIT);
	cr_expect_eq(shm_provision(&r, 1, 64, UINT32_MAX, &r.b), VIA_LIMIT);
	cr_expect_eq(shm_provision(&r, 1, 1u << 31, 1u << 31, &r.b), VIA_LIMIT);
	cr_expect_not_null(strstr(rig_detail(), "2147483648"), "%s", rig_detail());
	cr_expect_eq(shm_provision(&r, 1, 0, 64, &r.b), VIA_INVAL);
	cr_expect_eq(shm_provision(&r, 1, 64, 0, &r.b), VIA_INVAL);
	rig_close(&r);
}

/* -- names ------------------------------------------------------------------------------------- */

Test(posixshm, names_are_those_of_the_contract)
{
	static const struct {
		uint64_t id;
		const char *name;
	} names[] = {{1, "cgroups-snapshot-0000000000000001.ipcshm"},
		     {42, "cgroups-snapshot-000000000000002a.ipcshm"},
		     {12379813738877118345u, "cgroups-snapshot-abcdef0123456789.ipcshm"},
		     {UINT64_MAX, "cgroups-snapshot-ffffffffffffffff.ipcshm"},
		     {0, "cgroups-snapshot-0000000000000000.ipcshm"}};
	rig r;
	size_t i;

	rig_open(&r, "posixshm");
	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		via_upgrade u = shm_upgrade(&r, "cgroups-snapshot", names[i].id, 64, 64);

		cr_assert_eq(r.layer[0].t->provision(r.layer[0].self, &u, &r.b), VIA_OK);
		cr_expect(shm_exists(shm_path_of(&r, names[i].name)), "%s", names[i].name);
		cr_assert_eq(r.layer[0].t->attach(r.layer[0].self, &u, &r.a), VIA_OK);
		rig_hang_up(&r.a);
		rig_hang_up(&r.b);
		rig_check_files(&r, 0);
	}
	rig_close(&r);
}

Test(posixshm, names_that_cannot_be)
{
	char longest[1200];
	rig r;
	via_upgrade u;

	rig_open(&r, "posixshm");
	memset(longest, 'x', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	u = shm_upgrade(&r, longest, 1, 64, 64);
	cr_expect_eq(r.layer[0].t->provision(r.layer[0].self, &u, &r.b), VIA_INVAL);
	cr_expect_eq(r.layer[0].t->attach(r.layer[0].self, &u, &r.b), VIA_INVAL);
	cr_expect_not_null(strstr(rig_detail(), "1023"), "%s", rig_detail());
	u.service = "a/b";
	cr_expect_eq(r.layer[0].t->provision(r.layer[0].self, &u, &r.b), VIA_INVAL);
	u.service = "";
	cr_expect_eq(r.layer[0].t->attach(r.layer[0].self, &u, &r.b), VIA_INVAL);
	u.service = "svc";
	u.ns = "";
	cr_expect_eq(r.layer[0].t->provision(r.layer[0].self, &u, &r.b), VIA_INVAL);
	u.ns = "/nonexistent/viaduct";
	cr_expect_eq(r.layer[0].t->provision(r.layer[0].self, &u, &r.b), VIA_IO);
	rig_close(&r);
}

/* -- messages ---------------------------------------------------------------------------------- */

Test(posixshm, carries_messages_of_all_sizes)
{
	rig r;
	uint32_t i;

	shm_open_pair(&r, 4096, 8192);
	for (i = 1; i <= 4096; i += i < 200 ? 1 : 97)
		shm_roundtrip(&r, i, 2 * i, i);
	shm_roundtrip(&r, 4096, 8192, 7);
	rig_close(&r);
}

Test(posixshm, a_second_client_goes_on_where_the_first_left)
{
	rig r;

	shm_open_pair(&r, 100, 100);
	shm_roundtrip(&r, 3, 4, 1);
	shm_roundtrip(&r, 5, 6, 2);
	rig_hang_up(&r.a);
	cr_assert_eq(shm_attach(&r, 1, 100, 100, &r.a), VIA_OK);
	shm_roundtrip(&r, 7, 8, 3);
	rig_close(&r);
}

Test(posixshm, slots_are_the_area_itself)
{
	rig r;
	via_slot s, t;
	via_view v;

	shm_open_pair(&r, 128, 128);
	cr_assert_eq(r.a->ops->reserve(r.a, 5, &s), VIA_OK);
	cr_expect_geq(s.cap, 128);
	cr_expect_eq((uintptr_t)s.data % 64, 0);
	cr_expect_eq(r.a->ops->reserve(r.a, 5, &t), VIA_LIMIT);
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_STATE, "it would overwrite the slot");
	s.len = VIA_SKIP;
	cr_assert_eq(r.a->ops->commit(r.a, &s, 1), 1);
	cr_assert_eq(r.b->ops->recv(r.b, &v, 1), VIA_AGAIN);
	cr_assert_eq(r.a->ops->reserve(r.a, 5, &s), VIA_OK);
	s.len = 0;
	cr_expect_eq(r.a->ops->commit(r.a, &s, 1), VIA_INVAL);
	s.len = s.cap + 1;
	cr_expect_eq(r.a->ops->commit(r.a, &s, 1), VIA_INVAL);
	t = s;
	t.data = &t;
	t.len = 1;
	cr_expect_eq(r.a->ops->commit(r.a, &t, 1), VIA_INVAL, "not this slot");
	s.len = 5;
	memcpy(s.data, "hello", 5);
	cr_assert_eq(r.a->ops->commit(r.a, &s, 1), 1);
	cr_expect_eq(r.a->ops->commit(r.a, &s, 1), VIA_INVAL, "no slot is out");
	cr_assert_eq(r.b->ops->recv(r.b, &v, 1), 1);
	cr_expect_eq(v.len, 5);
	cr_expect_arr_eq(v.data, "hello", 5);
	r.b->ops->release(r.b, &v, 1);
	rig_close(&r);
}

Test(posixshm, what_does_not_fit_is_refused_and_nothing_is_sent)
{
	static const uint8_t data[256];
	rig r;
	via_slot s;
	via_view v;
	via_handle h = {.kind = VIA_H_FD, .value = 0};
	via_iov iov[2] = {{data, 100}, {data, 29}};
	via_iov huge[2] = {{data, 1}, {data, UINT64_MAX}};
	via_msg m = {.iov = iov, .n_iov = 2};

	shm_open_pair(&r, 128, 64);
	cr_expect_eq(r.a->limits->max_record, 128);
	cr_expect_eq(r.a->ops->send(r.a, &m, 1), VIA_TOOBIG);
	m.iov = huge;
	cr_expect_eq(r.a->ops->send(r.a, &m, 1), VIA_TOOBIG);
	cr_expect_eq(r.a->ops->reserve(r.a, 129, &s), VIA_TOOBIG);
	cr_expect_eq(rig_send_once(r.a, data, 129), VIA_TOOBIG);
	cr_expect_eq(r.a->ops->reserve(r.a, 0, &s), VIA_INVAL);
	cr_expect_eq(rig_send_once(r.a, data, 0), VIA_INVAL);
	m = (via_msg){.iov = iov, .n_iov = 1, .handles = &h, .n_handles = 1};
	cr_expect_eq(r.a->ops->send(r.a, &m, 1), VIA_LIMIT, "no handles");
	cr_expect_eq(r.b->ops->recv(r.b, &v, 1), VIA_AGAIN);
	cr_expect_eq(rig_send_once(r.a, data, 128), VIA_OK);
	cr_assert_eq(r.b->ops->recv(r.b, &v, 1), 1);
	r.b->ops->release(r.b, &v, 1);
	cr_expect_eq(rig_send_once(r.b, data, 65), VIA_TOOBIG, "the other way is smaller");
	cr_expect_eq(rig_send_once(r.b, data, 64), VIA_OK);
	rig_close(&r);
}

Test(posixshm, longer_than_expected_is_cut)
{
	rig r;
	via_view v;
	uint8_t data[200];

	shm_open_pair(&r, 200, 200);
	cr_expect_eq(r.b->ops->expect(r.b, 0), VIA_INVAL);
	cr_assert_eq(r.b->ops->expect(r.b, 150), VIA_OK);
	rig_fill(data, sizeof data, 1);
	cr_assert_eq(rig_send_once(r.a, data, 151), VIA_OK);
	cr_assert_eq(r.b->ops->recv(r.b, &v, 1), 1);
	cr_expect_eq(v.flags, VIA_VIEW_SHARED | VIA_VIEW_CUT);
	rig_check_fill(&v, 150, 1);
	cr_expect_eq(r.b->ops->expect(r.b, 200), VIA_STATE, "a view is out");
	cr_expect_eq(r.b->ops->recv(r.b, &v, 1), VIA_LIMIT, "one view at a time");
	r.b->ops->release(r.b, &v, 1);
	rig_close(&r);
}

/* -- whose turn it is -------------------------------------------------------------------------- */

static via_rc try_reserve(via_link *l)
{
	via_slot s;
	via_rc rc = l->ops->reserve(l, 1, &s);

	if (rc == VIA_OK) {
		s.len = VIA_SKIP;
		cr_assert_eq(l->ops->commit(l, &s, 1), 1);
	}
	return rc;
}

static void check_turn(rig *r, via_rc client, via_rc server)
{
	via_waitobj o = {.struct_size = sizeof o};
	via_link *link[2] = {r->a, r->b};
	via_rc rc[2] = {client, server};
	int i;

	for (i = 0; i < 2; i++) {
		cr_expect_eq(try_reserve(link[i]), rc[i], "end %d", i);
		cr_expect_eq(link[i]->ops->arm(link[i], VIA_EV_TX, &o),
			     rc[i] == VIA_OK ? VIA_BUSY : VIA_OK, "end %d", i);
		link[i]->ops->disarm(link[i], VIA_EV_TX);
		if (rc[i] != VIA_OK)
			cr_expect_eq(rig_send_once(link[i], "x", 1), rc[i], "end %d", i);
	}
}

Test(posixshm, the_ends_take_turns)
{
	rig r;
	via_view v;
	int i;

	shm_open_pair(&r, 64, 64);
	for (i = 0; i < 3; i++) {
		check_turn(&r, VIA_OK, VIA_AGAIN);
		cr_assert_eq(rig_send_once(r.a, "a", 1), VIA_OK);
		check_turn(&r, VIA_AGAIN, VIA_AGAIN);
		cr_assert_eq(r.b->ops->recv(r.b, &v, 1), 1);
		check_turn(&r, VIA_AGAIN, VIA_AGAIN); /* the view is still out */
		r.b->ops->release(r.b, &v, 1);
		check_turn(&r, VIA_AGAIN, VIA_OK);
		cr_assert_eq(rig_send_once(r.b, "b", 1), VIA_OK);
		check_turn(&r, VIA_AGAIN, VIA_AGAIN);
		cr_assert_eq(r.a->ops->recv(r.a, &v, 1), 1);
		check_turn(&r, VIA_AGAIN, VIA_AGAIN);
		r.a->ops->release(r.a, &v, 1);
	}
	rig_close(&r);
}

/* Whoever could send now would let the peer write over what the view shows. */
Test(posixshm, a_held_view_is_not_written_over)
{
	rig r;
	raw_peer p;
	via_view v;
	uint8_t data[64];

	shm_open_pair(&r, 64, 64);
	cr_assert_eq(r.a->ops->expect(r.a, 64), VIA_OK);
	rig_fill(data, sizeof data, 1);
	cr_assert_eq(rig_send_once(r.a, data, sizeof data), VIA_OK);
	cr_assert_eq(r.b->ops->recv(r.b, &v, 1), 1);
	r.b->ops->release(r.b, &v, 1);
	rig_fill(data, sizeof data, 2);
	cr_assert_eq(rig_send_once(r.b, data, sizeof data), VIA_OK);
	cr_assert_eq(raw_attach(&p, shm_path(&r, 1), 1), 0);
	cr_assert_eq(r.a->ops->recv(r.a, &v, 1), 1);
	cr_expect_eq(try_reserve(r.a), VIA_AGAIN);
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_AGAIN);
	cr_expect_eq(raw_u64(&p, AT_REQ_SEQ), 1, "the peer was told of a second request");
	cr_expect_eq(rig_send_once(r.b, "x", 1), VIA_AGAIN);
	rig_check_fill(&v, sizeof data, 2);
	r.a->ops->release(r.a, &v, 1);
	r.a->ops->release(r.a, &v, 1); /* of a view that is not out: counts for nothing */
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_OK);
	cr_expect_eq(rig_send_once(r.a, "x", 1), VIA_AGAIN);
	cr_expect_eq(raw_u64(&p, AT_REQ_SEQ), 2);
	raw_close(&p);
	rig_close(&r);
}

Test(posixshm, of_several_messages_one_is_taken)
{
	rig r;
	via_iov iov = {"ab", 2};
	via_msg m[2] = {{.iov = &iov, .n_iov = 1}, {.iov = &iov, .n_iov = 1}};

	shm_open_pair(&r, 64, 64);
	cr_expect_eq(r.a->ops->send(r.a, m, 0), 0);
	cr_expect_eq(r.a->ops->send(r.a, m, 2), 1);
	cr_expect_eq(r.a->ops->send(r.a, m + 1, 1), VIA_AGAIN);
	rig_close(&r);
}

/* -- facts ------------------------------------------------------------------------------------- */

Test(posixshm, says_what_it_can)
{
	rig r;
	via_peer p = {.struct_size = sizeof p};
	const via_transport *t;

	shm_open_pair(&r, 64, 5000);
	t = r.layer[0].t;
	cr_expect_eq(t->roles, VIA_ROLE_UPGRADE);
	cr_expect_eq(t->profiles, 0x6);
	cr_expect_eq(t->needs, VIA_CAP_HUP);
	cr_expect_eq(t->caps, r.a->caps);
	cr_expect_eq(r.a->caps,
		     VIA_CAP_RELIABLE | VIA_CAP_ZC_TX | VIA_CAP_ZC_RX | VIA_CAP_WORDWAIT);
	cr_expect_eq(t->probe(r.layer[0].self), 50);
	cr_expect_eq(r.a->limits->max_record, 128, "said, although the area is 64");
	cr_expect_eq(r.b->limits->max_record, 5056);
	cr_expect_eq(r.a->ops->peer(r.a, &p), VIA_NOTSUP);
	cr_expect_null(r.a->ops->get_ext(r.a, "x"));
	rig_close(&r);
}

Test(posixshm, no_sending_after_an_own_shutdown)
{
	rig r;
	via_slot s;
	via_view v;

	shm_open_pair(&r, 64, 64);
	cr_assert_eq(rig_send_once(r.a, "a", 1), VIA_OK);
	cr_assert_eq(r.a->ops->shutdown(r.a), VIA_OK);
	cr_expect_eq(rig_send_once(r.a, "a", 1), VIA_STATE);
	cr_expect_eq(r.a->ops->reserve(r.a, 1, &s), VIA_STATE);
	cr_assert_eq(r.b->ops->recv(r.b, &v, 1), 1);
	r.b->ops->release(r.b, &v, 1);
	cr_assert_eq(rig_send_once(r.b, "b", 1), VIA_OK);
	cr_assert_eq(r.a->ops->recv(r.a, &v, 1), 1, "receiving goes on");
	r.a->ops->release(r.a, &v, 1);
	rig_close(&r);
}

Test(posixshm, has_no_options)
{
	rig r;

	rig_open(&r, "posixshm");
	rig_fini_modules(&r);
	cr_expect_eq(rig_init_modules(&r, "posixshm.x=1\n"), VIA_INVAL);
	cr_expect_not_null(strstr(rig_detail(), "posixshm.x=1"));
	cr_assert_eq(rig_init_modules(&r, NULL), VIA_OK);
	rig_close(&r);
}
