/* tests/link/posixshm_attach.c - every check a client makes before it believes a region. */
#include "posixshm_rig.h"
#include <stddef.h>

TestSuite(posixshm_attach, .timeout = 60);

static const char *path; /* of session 1 */

static void open_rig(rig *r)
{
	static char text[256];

	rig_open(r, "posixshm");
	snprintf(text, sizeof text, "%s", shm_path(r, 1));
	path = text;
}

static void check_attach(rig *r, via_rc rc, const char *text)
{
	rig_detail_clear();
	cr_expect_eq(shm_attach(r, 1, 64, 64, &r->a), rc, "%s: %s", text, rig_detail());
	cr_expect_not_null(strstr(rig_detail(), text), "\"%s\" lacks \"%s\"", rig_detail(), text);
	rig_check_clean(r);
}

/* -- what is at the name ----------------------------------------------------------------------- */

Test(posixshm_attach, what_is_no_region)
{
	rig r;
	char good[256];
	raw_peer p;

	open_rig(&r);
	check_attach(&r, VIA_AGAIN, "not there yet");
	shm_write(path, "", 0, 0);
	check_attach(&r, VIA_AGAIN, "at least 64 bytes, found 0");
	shm_write(path, "MHSN", 4, 63);
	check_attach(&r, VIA_AGAIN, "at least 64 bytes, found 63");
	unlink(path);
	cr_assert_eq(mkdir(path, 0700), 0);
	check_attach(&r, VIA_PROTO, "expected a regular file");
	rmdir(path);
	cr_assert_eq(mkfifo(path, 0600), 0);
	check_attach(&r, VIA_PROTO, "expected a regular file, found file type 010000");
	unlink(path);
	snprintf(good, sizeof good, "%s", shm_path_of(&r, "good"));
	cr_assert_eq(raw_create(&p, good, 64, 64), 0);
	raw_close(&p);
	cr_assert_eq(symlink(good, path), 0);
	check_attach(&r, VIA_PROTO, "expected a regular file");
	unlink(path);
	cr_assert_eq(rename(good, path), 0);
	cr_assert_eq(shm_attach(&r, 1, 64, 64, &r.a), VIA_OK, "%s", rig_detail());
	rig_hang_up(&r.a);
	unlink(path);
	rig_close(&r);
}

static via_rc VIA_CALL peer_of_77(via_link *base, via_peer *out)
{
	(void)base;
	out->valid = VIA_PEER_UID;
	out->uid = 77;
	return VIA_OK;
}

Test(posixshm_attach, whose_file_it_is)
{
	static const mode_t bad[] = {0620, 0602, 0666, 0660};
	via_link_ops ops = {.struct_size = sizeof ops, .peer = peer_of_77};
	via_link baseline = {.ops = &ops, .caps = VIA_CAP_PEERCRED};
	via_upgrade u;
	raw_peer p;
	rig r;
	size_t i;

	open_rig(&r);
	cr_assert_eq(raw_create(&p, path, 64, 64), 0);
	raw_close(&p);
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		cr_assert_eq(chmod(path, bad[i]), 0);
		check_attach(&r, VIA_PERM, "only its owner can write");
	}
	cr_assert_eq(chmod(path, 0644), 0);
	cr_assert_eq(shm_attach(&r, 1, 64, 64, &r.a), VIA_OK, "%s", rig_detail());
	rig_hang_up(&r.a);
	u = shm_upgrade(&r, "svc", 1, 64, 64);
	u.baseline = &baseline;
	if (geteuid() == 0) { /* nobody else can give files away */
		cr_assert_eq(chown(path, 77, 77), 0);
		check_attach(&r, VIA_PERM, "found one of user 77");
		cr_assert_eq(r.layer[0].t->attach(r.layer[0].self, &u, &r.a), VIA_OK,
			     "the server's user: %s", rig_detail());
		rig_hang_up(&r.a);
		baseline.caps = 0;
		cr_expect_eq(r.layer[0].t->attach(r.layer[0].self, &u, &r.a), VIA_PERM,
			     "a baseline that cannot vouch for its peer");
		baseline.caps = VIA_CAP_PEERCRED;
		cr_assert_eq(chown(path, 78, 78), 0);
		cr_expect_eq(r.layer[0].t->attach(r.layer[0].self, &u, &r.a), VIA_PERM);
	}
	unlink(path);
	rig_close(&r);
}

/* -- the header -------------------------------------------------------------------------------- */

/* One field of a good region of 64 and 64 bytes changed. */
struct change {
	uint32_t at, width, value;
	via_rc rc;
	const char *text;
};

static const struct change changes[] = {
	{AT_MAGIC, 4, 0, VIA_AGAIN, "magic: expected 0x4e53484d, found 0x00000000"},
	{AT_MAGIC, 4, 0x4E535748, VIA_AGAIN, "found 0x4e535748"},
	{AT_MAGIC, 4, 0x4D48534E, VIA_AGAIN, "found 0x4d48534e"},
	{AT_VERSION, 2, 0, VIA_PROTO, "version: expected 3, found 0"},
	{AT_VERSION, 2, 2, VIA_PROTO, "version: expected 3, found 2"},
	{AT_VERSION, 2, 4, VIA_PROTO, "version: expected 3, found 4"},
	{AT_VERSION, 4, 0, VIA_AGAIN, "not complete yet"},
	{AT_HEADER_LEN, 2, 0, VIA_PROTO, "header_len: expected 64, found 0"},
	{AT_HEADER_LEN, 2, 128, VIA_PROTO, "header_len: expected 64, found 128"},
	{AT_REQ_OFFSET, 4, 0, VIA_AGAIN, "found 0+64 and 128+64"},
	{AT_REQ_OFFSET, 4, 63, VIA_AGAIN, "found 63+64"},
	{AT_REQ_OFFSET, 4, 65, VIA_PROTO, "multiples of 64, found 65+64"},
	{AT_REQ_OFFSET, 4, 128, VIA_PROTO, "response_offset: expected at least 192"},
	{AT_REQ_OFFSET, 4, UINT32_MAX - 63, VIA_PROTO, "expected at least 4294967296"},
	{AT_REQ_CAP, 4, 0, VIA_AGAIN, "found 64+0"},
	{AT_REQ_CAP, 4, 1, VIA_PROTO, "multiples of 64, found 64+1"},
	{AT_REQ_CAP, 4, 128, VIA_PROTO, "expected at least 192"},
	{AT_REQ_CAP, 4, UINT32_MAX - 63, VIA_PROTO, "expected at least 4294967296"},
	{AT_RESP_OFFSET, 4, 0, VIA_AGAIN, "and 0+64"},
	{AT_RESP_OFFSET, 4, 64, VIA_PROTO, "at least 128, the end of the request area, found 64"},
	{AT_RESP_OFFSET, 4, 130, VIA_PROTO, "and 130+64"},
	{AT_RESP_OFFSET, 4, 192, VIA_PROTO, "expected 256 bytes for the areas declared, found 192"},
	{AT_RESP_OFFSET, 4, UINT32_MAX - 63, VIA_PROTO, "expected 4294967296 bytes"},
	{AT_RESP_CAP, 4, 0, VIA_AGAIN, "and 128+0"},
	{AT_RESP_CAP, 4, 63, VIA_PROTO, "and 128+63"},
	{AT_RESP_CAP, 4, 128, VIA_PROTO, "expected 256 bytes"},
	{AT_RESP_CAP, 4, UINT32_MAX - 63, VIA_PROTO, "expected 4294967360 bytes"},
};

Test(posixshm_attach, what_is_wrong_with_a_header)
{
	rig r;
	size_t i;

	open_rig(&r);
	for (i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		const struct change *c = &changes[i];
		raw_peer p;

		cr_assert_eq(raw_create(&p, path, 64, 64), 0);
		memcpy(p.base + c->at, &c->value, c->width);
		raw_close(&p);
		check_attach(&r, c->rc, c->text);
		unlink(path);
	}
	rig_close(&r);
}

Test(posixshm_attach, a_file_cut_short)
{
	rig r;
	raw_peer p;
	off_t size;

	open_rig(&r);
	cr_assert_eq(raw_create(&p, path, 64, 64), 0);
	raw_close(&p);
	for (size = 191; size >= 64; size--) {
		cr_assert_eq(truncate(path, size), 0);
		check_attach(&r, VIA_PROTO, "expected 192 bytes for the areas declared");
	}
	unlink(path);
	rig_close(&r);
}

/* Room for what was agreed: a request of that length must not fail later. */
Test(posixshm_attach, a_region_smaller_than_agreed)
{
	rig r;
	raw_peer p;

	open_rig(&r);
	cr_assert_eq(raw_create(&p, path, 64, 64), 0);
	raw_close(&p);
	cr_expect_eq(shm_attach(&r, 1, 65, 64, &r.a), VIA_PROTO);
	cr_expect_not_null(strstr(rig_detail(), "at least the 65 bytes agreed, found 64"));
	unlink(path);
	rig_close(&r);
}

/* -- what is fine ------------------------------------------------------------------------------ */

static void raw_roundtrip(rig *r, raw_peer *p)
{
	uint8_t data[64];
	via_view v;

	cr_assert_eq(rig_send_once(r->a, "ask", 3), VIA_OK, "%s", rig_detail());
	cr_assert_eq(raw_recv(p, data, sizeof data), 3);
	cr_expect_arr_eq(data, "ask", 3);
	cr_assert_eq(raw_send(p, "answer", 6), 0);
	cr_assert_eq(r->a->ops->recv(r->a, &v, 1), 1, "%s", rig_detail());
	cr_expect_eq(v.len, 6);
	cr_expect_arr_eq(v.data, "answer", 6);
	r->a->ops->release(r->a, &v, 1);
}

Test(posixshm_attach, areas_apart_and_a_longer_file)
{
	rig r;
	raw_peer p;

	open_rig(&r);
	cr_assert_eq(raw_create(&p, path, 1024, 1024), 0);
	raw_set32(&p, AT_REQ_OFFSET, 256);
	raw_set32(&p, AT_REQ_CAP, 64);
	raw_set32(&p, AT_RESP_OFFSET, 1024);
	raw_set32(&p, AT_RESP_CAP, 64);
	cr_assert_eq(shm_attach(&r, 1, 64, 64, &r.a), VIA_OK, "%s", rig_detail());
	raw_roundtrip(&r, &p);
	cr_expect_arr_eq(p.base + 256, "ask", 3);
	cr_expect_arr_eq(p.base + 1024, "answer", 6);
	rig_hang_up(&r.a);
	raw_close(&p);
	unlink(path);
	rig_close(&r);
}

/* Numbers go on from what is there, over the end of their range too. */
Test(posixshm_attach, sequences_start_where_they_are)
{
	static const uint64_t from[][2] = {{0, 0},
					   {1000, 1000},
					   {7, 3},
					   {UINT64_MAX, UINT64_MAX},
					   {UINT64_MAX - 1, 5}};
	rig r;
	size_t i;

	open_rig(&r);
	for (i = 0; i < sizeof from / sizeof from[0]; i++) {
		raw_peer p;
		via_waitobj o = {.struct_size = sizeof o};
		via_view v;

		cr_assert_eq(raw_create(&p, path, 64, 64), 0);
		raw_set64(&p, AT_REQ_SEQ, from[i][0]);
		raw_set64(&p, AT_RESP_SEQ, from[i][1]);
		cr_assert_eq(shm_attach(&r, 1, 64, 64, &r.a), VIA_OK);
		cr_expect_eq(r.a->ops->recv(r.a, &v, 1), VIA_AGAIN);
		cr_expect_eq(r.a->ops->arm(r.a, VIA_EV_RX, &o), VIA_OK);
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
		raw_close(&p);
		unlink(path);
	}
	rig_close(&r);
}

/* Random bytes for a header with the right start: attached or refused, and usable if attached. */
Test(posixshm_attach, random_headers)
{
	uint32_t state = 1, round, i;
	rig r;

	open_rig(&r);
	for (round = 0; round < 5000; round++) {
		uint32_t words[16];
		via_rc rc;

		for (i = 0; i < 16; i++) {
			state = state * 1664525u + 1013904223u;
			words[i] = i >= 4 && i < 8 ? (state >> 27) * 64 : state;
		}
		words[0] = 0x4E53484D;
		words[1] = 3 | 64 << 16;
		shm_write(path, words, sizeof words, (state >> 20) % 8192 + 64);
		rc = shm_attach(&r, 1, 64, 64, &r.a);
		cr_assert(rc == VIA_OK || rc == VIA_AGAIN || rc == VIA_PROTO, "%d", rc);
		if (rc == VIA_OK) {
			via_slot s;

			cr_assert_eq(r.a->ops->reserve(r.a, 1, &s), VIA_OK);
			memset(s.data, 1, s.cap); /* all of it is there */
			s.len = s.cap;
			cr_assert_eq(r.a->ops->commit(r.a, &s, 1), 1);
		}
		rig_hang_up(&r.a);
		unlink(path);
	}
	rig_close(&r);
}
