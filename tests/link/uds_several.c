/* tests/link/uds_several.c - records that are taken from the kernel, or given to it, several at a time. */
#include "uds_rig.h"

TestSuite(link_uds_several, .timeout = 60);

enum { LONGEST = 100, MOST = 8 };

static void push(int fd, uint32_t number)
{
	uint8_t data[10];

	rig_fill(data, sizeof data, number);
	cr_assert_eq(send(fd, data, sizeof data, MSG_NOSIGNAL), (ssize_t)sizeof data);
}

static void push_row(int fd, uint32_t from, uint32_t n)
{
	for (; n > 0; n--)
		push(fd, from++);
}

/* r->b has a raw peer, and nobody wants handles any more. */
static int open_raw(rig *r)
{
	int fd;

	rig_open(r, "uds");
	cr_assert_eq(rig_listen(r, NULL, &r->listener), VIA_OK, "%s", rig_detail());
	fd = raw_connect(path_of(r, "svc.sock"));
	cr_assert_geq(fd, 0);
	cr_assert_eq(rig_accept_soon(r, r->listener, &r->b), VIA_OK);
	cr_expect_eq(r->b->limits->max_views, 1);
	r->b->rx_plain = 1;
	cr_assert_eq(r->b->ops->expect(r->b, LONGEST), VIA_OK);
	cr_assert_eq(r->b->limits->max_views, MOST);
	return fd;
}

/* The next recv() brings n records of push_row(), which are given back. */
static void expect_row(rig *r, uint32_t from, uint32_t n)
{
	via_view v[MOST];
	uint32_t i;

	cr_assert_eq(r->b->ops->recv(r->b, v, MOST), (via_rc)n);
	for (i = 0; i < n; i++) {
		rig_check_fill(&v[i], 10, from + i);
		cr_expect_eq(v[i].flags, 0);
		cr_expect_eq((uintptr_t)v[i].data % r->b->limits->align, 0);
	}
	r->b->ops->release(r->b, v, n);
}

static int kernel_has_some(const rig *r)
{
	via_waitobj o = {.struct_size = sizeof o};
	char c;

	cr_assert_eq(r->b->ops->arm(r->b, VIA_EV_RX, &o), VIA_OK);
	r->b->ops->disarm(r->b, VIA_EV_RX);
	return recv((int)o.handle, &c, 1, MSG_DONTWAIT | MSG_PEEK) == 1;
}

/* -- receiving --------------------------------------------------------------------------------- */

Test(link_uds_several, no_more_are_taken_than_handed_out)
{
	rig r;
	uint32_t before, calls;
	int fd = open_raw(&r);

	push_row(fd, 0, MOST + 3);
	before = atomic_load(&r.host.calls);
	expect_row(&r, 0, MOST);
	calls = atomic_load(&r.host.calls) - before;
	cr_expect_eq(calls, 1, "%u system calls", calls);
	cr_expect(kernel_has_some(&r));
	rig_expect_record(r.b, 10, MOST);
	cr_expect(kernel_has_some(&r));
	expect_row(&r, MOST + 1, 2);
	cr_expect_not(kernel_has_some(&r));
	cr_expect_eq(r.b->ops->recv(r.b, &(via_view){0}, 1), VIA_AGAIN);
	close(fd);
	rig_close(&r);
}

/* Alone and together, and given back in another order: what is out stays as it is. */
Test(link_uds_several, views_are_apart)
{
	rig r;
	via_view v[MOST], extra;
	uint32_t i;
	int fd = open_raw(&r);

	push_row(fd, 0, MOST + 2);
	cr_assert_eq(r.b->ops->recv(r.b, v, 2), 2);
	for (i = 2; i < MOST; i++)
		cr_assert_eq(r.b->ops->recv(r.b, &v[i], 2), 1, "record %u", i);
	cr_expect_eq(r.b->ops->recv(r.b, &extra, 1), VIA_LIMIT);
	cr_expect_eq(r.b->ops->expect(r.b, LONGEST), VIA_STATE);
	for (i = 0; i < MOST; i++)
		rig_check_fill(&v[i], 10, i);
	r.b->ops->release(r.b, &v[5], 1);
	r.b->ops->release(r.b, &v[0], 1);
	cr_assert_eq(r.b->ops->recv(r.b, &v[0], 1), 1);
	cr_assert_eq(r.b->ops->recv(r.b, &v[5], 1), 1);
	rig_check_fill(&v[0], 10, MOST);
	rig_check_fill(&v[5], 10, MOST + 1);
	for (i = 1; i < MOST; i++)
		if (i != 5)
			rig_check_fill(&v[i], 10, i);
	r.b->ops->release(r.b, v, MOST);
	cr_expect_eq(r.b->ops->expect(r.b, 2 * LONGEST), VIA_OK);
	push_row(fd, 20, 2);
	expect_row(&r, 20, 2);
	close(fd);
	rig_close(&r);
}

/* Half a megabyte is what the views behind the first may take. */
Test(link_uds_several, long_records_have_fewer_views)
{
	static const struct {
		uint32_t longest, views;
	} cases[] = {{74896, 8}, {74897, 7}, {200000, 3}, {524288, 2}, {524289, 1}};
	rig r;
	via_view v[MOST];
	size_t i;
	int fd = open_raw(&r);

	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint32_t n = cases[i].views;

		cr_assert_eq(r.b->ops->expect(r.b, cases[i].longest), VIA_OK);
		cr_expect_eq(r.b->limits->max_views, n, "%u: found %u", cases[i].longest,
			     r.b->limits->max_views);
		push_row(fd, 0, n);
		expect_row(&r, 0, n);
	}
	r.b->rx_plain = 0;
	cr_assert_eq(r.b->ops->expect(r.b, LONGEST), VIA_OK);
	cr_expect_eq(r.b->limits->max_views, 1);
	push_row(fd, 0, 2);
	cr_assert_eq(r.b->ops->recv(r.b, v, MOST), 1);
	cr_expect_eq(r.b->ops->recv(r.b, v + 1, MOST), VIA_LIMIT);
	r.b->ops->release(r.b, v, 1);
	close(fd);
	rig_close(&r);
}

Test(link_uds_several, the_end_comes_behind_the_records)
{
	int i;

	for (i = 0; i < 3; i++) { /* closed, shut down, closed with our record unread */
		rig r;
		via_view v[MOST];
		int fd = open_raw(&r);

		if (i == 2)
			cr_assert_eq(rig_send_once(r.b, "x", 1), VIA_OK);
		push_row(fd, 1, 2);
		if (i == 1)
			shutdown(fd, SHUT_WR);
		else
			close(fd);
		expect_row(&r, 1, 2);
		cr_expect_eq(r.b->ops->recv(r.b, v, MOST), i == 2 ? VIA_RESET : VIA_CLOSED);
		cr_expect_eq(r.b->ops->recv(r.b, v, 1), i == 2 ? VIA_RESET : VIA_CLOSED);
		if (i == 1)
			close(fd);
		rig_close(&r);
	}
}

Test(link_uds_several, an_empty_packet_among_records_is_an_end)
{
	int n;

	for (n = 0; n < 2; n++) { /* records before it */
		rig r;
		via_view v[MOST];
		int fd = open_raw(&r);

		push_row(fd, 1, (uint32_t)n);
		cr_assert_eq(send(fd, "", 0, 0), 0);
		push(fd, 2);
		if (n != 0)
			expect_row(&r, 1, (uint32_t)n);
		cr_expect_eq(r.b->ops->recv(r.b, v, MOST), VIA_CLOSED);
		push(fd, 3);
		cr_expect_eq(r.b->ops->recv(r.b, v, MOST), VIA_CLOSED);
		close(fd);
		rig_close(&r);
	}
}

/* As with one at a time: what follows an empty packet counts once the peer has shut down. */
Test(link_uds_several, an_empty_packet_before_the_end_is_passed_over)
{
	rig r;
	via_view v[MOST];
	int fd = open_raw(&r);

	push(fd, 1);
	cr_assert_eq(send(fd, "", 0, 0), 0);
	push_row(fd, 2, 2);
	close(fd);
	expect_row(&r, 1, 3);
	cr_expect_eq(r.b->ops->recv(r.b, v, MOST), VIA_CLOSED);
	rig_close(&r);
}

static void push_handle(int fd)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct iovec iov = {(char[]){"0123456789"}, 10};
	struct msghdr mh = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.room,
			    .msg_controllen = sizeof control.room};
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	cr_assert_eq(sendmsg(fd, &mh, 0), 10);
}

Test(link_uds_several, unwanted_handles_are_dropped)
{
	uint32_t max;

	for (max = 1; max <= 2; max++) { /* recv(), recvmmsg() */
		rig r;
		via_handle h;
		via_view v[2];
		uint32_t i, got, before;
		int fd = open_raw(&r);

		push_row(fd, 0, 2);
		expect_row(&r, 0, 2); /* there is room from now on */
		before = rig_descriptors();
		for (i = 0; i < 40; i++)
			push_handle(fd);
		for (i = 0; i < 40; i += got) {
			got = (uint32_t)r.b->ops->recv(r.b, v, max);
			cr_assert_eq(got, max);
			cr_expect_eq(v[got - 1].len, 10);
			cr_expect_eq(v[got - 1].flags, 0);
			cr_expect_eq(r.b->ops->take_handles(r.b, &v[got - 1], &h, 1), 0);
			r.b->ops->release(r.b, v, got);
		}
		cr_expect_eq(rig_descriptors(), before);
		close(fd);
		rig_close(&r);
	}
}

static void expect_long(const via_view *v, const uint8_t *data, uint32_t flags)
{
	cr_expect_eq(v->len, LONGEST);
	cr_expect_eq(v->flags, flags);
	cr_expect_arr_eq(v->data, data, LONGEST);
}

Test(link_uds_several, longer_packets_are_cut)
{
	uint32_t max;

	for (max = 1; max <= 4; max += 3) {
		rig r;
		via_view v[4];
		uint8_t data[5000];
		uint32_t n;
		int fd = open_raw(&r);

		rig_fill(data, sizeof data, 2);
		cr_assert_eq(send(fd, data, LONGEST + 1, 0), LONGEST + 1);
		cr_assert_eq(send(fd, data, LONGEST, 0), LONGEST);
		cr_assert_eq(send(fd, data, sizeof data, 0), (ssize_t)sizeof data);
		push(fd, 4);
		for (n = 0; n < 4; n += max)
			cr_assert_eq(r.b->ops->recv(r.b, v + n, max), (via_rc)max);
		expect_long(&v[0], data, VIA_VIEW_CUT);
		expect_long(&v[1], data, 0);
		expect_long(&v[2], data, VIA_VIEW_CUT);
		rig_check_fill(&v[3], 10, 4);
		r.b->ops->release(r.b, v, 4);
		close(fd);
		rig_close(&r);
	}
}

/* -- failures ---------------------------------------------------------------------------------- */

/* A call that fails takes nothing along. */
Test(link_uds_several, a_call_that_fails_loses_nothing)
{
	static const struct {
		int error;
		via_rc rc;
	} fails[] = {{EAGAIN, VIA_AGAIN}, {EIO, VIA_IO}, {ENOMEM, VIA_NOMEM}};
	rig r;
	via_view v[MOST];
	size_t i;
	int fd = open_raw(&r);

	r.host.how = RIG_FAIL;
	for (i = 0; i < sizeof fails / sizeof fails[0]; i++) {
		push_row(fd, 0, 3);
		r.host.error = fails[i].error;
		r.host.fail_call = atomic_load(&r.host.calls) + 1;
		cr_expect_eq(r.b->ops->recv(r.b, v, MOST), fails[i].rc);
		expect_row(&r, 0, 3);
	}
	r.host.error = ECONNRESET; /* said once, before what has come */
	r.host.fail_call = atomic_load(&r.host.calls) + 1;
	push_row(fd, 0, 3);
	expect_row(&r, 0, 3);
	close(fd);
	cr_expect_eq(r.b->ops->recv(r.b, v, MOST), VIA_RESET);
	rig_close(&r);
}

Test(link_uds_several, without_the_call_one_at_a_time)
{
	rig r;
	uint32_t i;
	int fd = open_raw(&r);

	push_row(fd, 0, 5);
	r.host.how = RIG_FAIL;
	r.host.error = ENOSYS;
	r.host.fail_call = atomic_load(&r.host.calls) + 1;
	for (i = 0; i < 5; i++)
		expect_row(&r, i, 1);
	close(fd);
	rig_close(&r);
}

Test(link_uds_several, without_memory_one_at_a_time)
{
	rig r;
	via_view v, extra;
	uint32_t i;
	int fd = open_raw(&r);

	push_row(fd, 0, 6);
	r.host.fail_alloc = atomic_load(&r.host.allocs) + 1;
	for (i = 0; i < 3; i++)
		expect_row(&r, i, 1);
	cr_assert_eq(r.b->ops->recv(r.b, &v, MOST), 1);
	r.host.fail_alloc = atomic_load(&r.host.allocs) + 1;
	cr_expect_eq(r.b->ops->recv(r.b, &extra, MOST), VIA_NOMEM, "no room for a second one");
	cr_assert_eq(r.b->ops->recv(r.b, &extra, 1), 1);
	rig_check_fill(&v, 10, 3);
	rig_check_fill(&extra, 10, 4);
	r.b->ops->release(r.b, &v, 1);
	r.b->ops->release(r.b, &extra, 1);
	cr_assert_eq(r.b->ops->expect(r.b, LONGEST), VIA_OK); /* tries again */
	push(fd, 6);
	expect_row(&r, 5, 2);
	close(fd);
	rig_close(&r);
}

Test(link_uds_several, abort_with_views_out)
{
	rig r;
	via_view v[4], extra;
	int fd = open_raw(&r);

	push_row(fd, 0, 6);
	cr_assert_eq(r.b->ops->recv(r.b, v, 4), 4);
	r.b->ops->abort(r.b, VIA_TIMEOUT);
	cr_expect_eq(r.b->ops->recv(r.b, &extra, 1), VIA_TIMEOUT);
	rig_check_fill(&v[3], 10, 3);
	r.b->ops->release(r.b, v, 4);
	close(fd);
	rig_close(&r);
}

/* -- sending ----------------------------------------------------------------------------------- */

enum { ROW = 40 };

struct row {
	uint8_t data[ROW][10];
	via_iov iov[ROW];
	via_msg msg[ROW];
};

static void make_row(struct row *o)
{
	uint32_t i;

	for (i = 0; i < ROW; i++) {
		rig_fill(o->data[i], 10, i);
		o->iov[i] = (via_iov){o->data[i], 10};
		o->msg[i] = (via_msg){.iov = &o->iov[i], .n_iov = 1};
	}
}

static void expect_raw(int fd, const struct row *o, uint32_t from, uint32_t to)
{
	uint8_t got[16];

	for (; from < to; from++) {
		cr_assert_eq(recv(fd, got, sizeof got, MSG_DONTWAIT), 10, "record %u", from);
		cr_assert_arr_eq(got, o->data[from], 10);
	}
	cr_expect_eq(recv(fd, got, sizeof got, MSG_DONTWAIT), -1, "one more");
}

Test(link_uds_several, a_row_is_sent_in_order)
{
	rig r;
	struct row o;
	via_iov two[2];
	int fd = open_raw(&r);

	make_row(&o);
	two[0] = (via_iov){o.data[20], 4};
	two[1] = (via_iov){o.data[20] + 4, 6};
	o.msg[20] = (via_msg){.iov = two, .n_iov = 2}; /* goes another way, not out of turn */
	cr_assert_eq(r.b->ops->send(r.b, o.msg, ROW), ROW);
	expect_raw(fd, &o, 0, ROW);
	o.iov[7].len = 0; /* no record: what is before it goes */
	cr_expect_eq(r.b->ops->send(r.b, o.msg, ROW), 7);
	cr_expect_eq(r.b->ops->send(r.b, o.msg + 7, ROW - 7), VIA_INVAL);
	expect_raw(fd, &o, 0, 7);
	close(fd);
	rig_close(&r);
}

Test(link_uds_several, a_full_socket_takes_a_part_of_a_row)
{
	rig r;
	struct row o;
	uint32_t sent = 0, got = 0;
	uint8_t byte[16];
	via_rc rc;
	int fd = open_raw(&r);

	make_row(&o);
	while ((rc = r.b->ops->send(r.b, o.msg, ROW)) == ROW)
		sent += ROW;
	cr_assert(rc == VIA_AGAIN || (rc > 0 && rc < ROW), "found %d", (int)rc);
	sent += rc > 0 ? (uint32_t)rc : 0;
	cr_expect_eq(r.b->ops->send(r.b, o.msg + sent % ROW, 1), VIA_AGAIN);
	while (recv(fd, byte, sizeof byte, MSG_DONTWAIT) == 10) {
		cr_assert_arr_eq(byte, o.data[got % ROW], 10);
		got++;
	}
	cr_expect_eq(got, sent);
	close(fd);
	rig_close(&r);
}

Test(link_uds_several, a_row_whose_call_fails)
{
	static const struct {
		int error;
		via_rc rc;
	} fails[] = {{EAGAIN, VIA_AGAIN}, {EIO, VIA_IO}, {ENOMEM, VIA_NOMEM}};
	rig r;
	struct row o;
	size_t i;
	int fd = open_raw(&r);

	make_row(&o);
	r.host.how = RIG_FAIL;
	for (i = 0; i < sizeof fails / sizeof fails[0]; i++) {
		r.host.error = fails[i].error;
		r.host.fail_call = atomic_load(&r.host.calls) + 1;
		cr_expect_eq(r.b->ops->send(r.b, o.msg, ROW), fails[i].rc);
		expect_raw(fd, &o, 0, 0);
		r.host.fail_call = atomic_load(&r.host.calls) + 2;
		cr_expect_eq(r.b->ops->send(r.b, o.msg, ROW), 16, "what went before it");
		expect_raw(fd, &o, 0, 16);
	}
	r.host.error = ENOSYS; /* the first goes alone */
	r.host.fail_call = atomic_load(&r.host.calls) + 1;
	cr_expect_eq(r.b->ops->send(r.b, o.msg, ROW), ROW);
	expect_raw(fd, &o, 0, ROW);
	close(fd);
	cr_expect_eq(r.b->ops->send(r.b, o.msg, ROW), VIA_RESET);
	rig_close(&r);
}
