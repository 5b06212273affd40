/* tests/link/uds.c - the socket transport against raw peers: limits, hostile packets,
 * credentials. */
#include "uds_rig.h"

TestSuite(link_uds, .timeout = 60);

/* Our listener, a raw peer: r.b is the accepted link. */
static int open_raw(rig *r)
{
	int fd;

	rig_open(r, "uds");
	cr_assert_eq(rig_listen(r, NULL, &r->listener), VIA_OK, "%s", rig_detail());
	fd = raw_connect(path_of(r, "svc.sock"));
	cr_assert_geq(fd, 0);
	cr_assert_eq(rig_accept_soon(r, r->listener, &r->b), VIA_OK);
	return fd;
}

/* max_record is what the kernel takes, to the byte. */
Test(link_uds, max_record_is_the_kernels)
{
	rig r;
	uint8_t *data;
	uint32_t max;
	int fd = open_raw(&r);

	max = r.b->limits->max_record;
	data = calloc(1, max + 1);
	cr_assert_not_null(data);
	cr_assert_eq(rig_send_once(r.b, data, max), VIA_OK);
	cr_expect_eq(recv(fd, data, max + 1, MSG_DONTWAIT), (ssize_t)max);
	cr_expect_eq(send(fd, data, max + 1, MSG_DONTWAIT | MSG_NOSIGNAL), -1,
		     "one more than that");
	cr_expect_eq(errno, EMSGSIZE);
	free(data);
	close(fd);
	rig_close(&r);
}

Test(link_uds, an_unreadable_buffer_size_means_64_k)
{
	rig r;
	via_link *l;

	rig_open(&r, "uds");
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	r.host.how = RIG_FAIL;
	r.host.error = EIO;
	r.host.fail_call = atomic_load(&r.host.calls) + 3; /* socket, connect, getsockopt */
	cr_assert_eq(rig_dial(&r, NULL, &l), VIA_OK);
	cr_expect_eq(l->limits->max_record, 65536);
	l->ops->close(l);
	rig_close(&r);
}

/* A buffer that was made smaller behind our back: refused as a whole, not cut. */
Test(link_uds, a_smaller_send_buffer)
{
	rig r;
	via_waitobj o = {.struct_size = sizeof o};
	uint8_t *data;
	uint32_t max;
	int size = 4096;
	int fd = open_raw(&r);

	max = r.b->limits->max_record;
	data = calloc(1, max);
	cr_assert_not_null(data);
	cr_assert_eq(r.b->ops->arm(r.b, VIA_EV_RX, &o), VIA_OK);
	cr_assert_eq(setsockopt((int)o.handle, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
	cr_expect_eq(rig_send_once(r.b, data, max), VIA_TOOBIG);
	cr_expect_eq(rig_send_once(r.b, data, 100), VIA_OK);
	free(data);
	close(fd);
	rig_close(&r);
}

Test(link_uds, a_record_is_a_packet)
{
	rig r;
	char got[64];
	via_iov iov[3] = {{"head", 4}, {"", 0}, {"body", 4}};
	via_msg m = {.iov = iov, .n_iov = 3};
	via_slot s;
	int fd = open_raw(&r);

	cr_assert_eq(r.b->ops->send(r.b, &m, 1), 1);
	cr_assert_eq(r.b->ops->reserve(r.b, 4, &s), VIA_OK);
	memcpy(s.data, "slot", 4);
	s.len = 4;
	cr_assert_eq(r.b->ops->commit(r.b, &s, 1), 1);
	cr_assert_eq(recv(fd, got, sizeof got, 0), 8);
	cr_expect_arr_eq(got, "headbody", 8);
	cr_assert_eq(recv(fd, got, sizeof got, 0), 4);
	cr_expect_arr_eq(got, "slot", 4);
	cr_assert_eq(send(fd, "raw", 3, 0), 3);
	rig_fill((uint8_t *)got, 3, 1);
	{
		via_view v;

		cr_assert_eq(rig_get(r.b, &v), 1);
		cr_assert_eq(v.len, 3);
		cr_expect_arr_eq(v.data, "raw", 3);
		r.b->ops->release(r.b, &v, 1);
	}
	close(fd);
	rig_close(&r);
}

/* -- hostile packets --------------------------------------------------------------------------- */

Test(link_uds, an_empty_packet_is_an_end)
{
	rig r;
	via_view v;
	int fd = open_raw(&r);

	cr_assert_eq(send(fd, "", 0, 0), 0);
	cr_expect_eq(rig_get(r.b, &v), VIA_CLOSED);
	cr_expect_eq(rig_send_once(r.b, "x", 1), VIA_CLOSED);
	close(fd);
	rig_close(&r);
}

/* A packet with n copies of one descriptor. */
static void send_many(int fd, int what, uint32_t n, size_t len)
{
	char control[CMSG_SPACE(253 * sizeof(int))] = {0};
	struct iovec iov = {(char[]){"abc"}, len};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};
	struct cmsghdr *c;
	uint32_t i;

	mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
	c = CMSG_FIRSTHDR(&mh);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	for (i = 0; i < n; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &what, sizeof what);
	cr_assert_eq(sendmsg(fd, &mh, 0), (ssize_t)len);
}

/* More descriptors than the limit: none is left behind, whatever is done with the record. */
Test(link_uds, floods_of_descriptors)
{
	static const uint32_t counts[] = {1, 8, 9, 10, 64, 253};
	rig r;
	via_handle h[64];
	via_view v;
	uint32_t i, j;
	int fd = open_raw(&r);
	uint32_t before = rig_descriptors();

	for (i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		via_rc n;

		send_many(fd, fd, counts[i], 3);
		send_many(fd, fd, counts[i], 3);
		cr_assert_eq(rig_get(r.b, &v), 1);
		n = r.b->ops->take_handles(r.b, &v, h, 64);
		cr_assert(n >= 1 && n <= (via_rc)r.b->limits->max_handles, "%d of %u", n,
			  counts[i]);
		for (j = 0; j < (uint32_t)n; j++)
			close((int)h[j].value);
		r.b->ops->release(r.b, &v, 1);
		cr_assert_eq(rig_get(r.b, &v), 1);
		r.b->ops->release(r.b, &v, 1);
		cr_expect_eq(rig_descriptors(), before, "%u", counts[i]);
	}
	send_many(fd, fd, 3, 0); /* an end that carries descriptors */
	cr_expect_eq(rig_get(r.b, &v), VIA_CLOSED);
	cr_expect_eq(rig_descriptors(), before);
	close(fd);
	rig_close(&r);
}

Test(link_uds, received_descriptors_do_not_survive_exec)
{
	rig r;
	via_handle h;
	via_view v;
	int fd = open_raw(&r);

	send_many(fd, 0, 1, 3);
	cr_assert_eq(rig_get(r.b, &v), 1);
	cr_assert_eq(r.b->ops->take_handles(r.b, &v, &h, 1), 1);
	cr_expect_eq(fcntl((int)h.value, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close((int)h.value);
	r.b->ops->release(r.b, &v, 1);
	close(fd);
	rig_close(&r);
}

Test(link_uds, a_longer_packet_is_cut_to_what_is_expected)
{
	rig r;
	via_view v;
	char data[5000];
	int fd = open_raw(&r);

	memset(data, 'x', sizeof data);
	cr_assert_eq(send(fd, data, sizeof data, 0), (ssize_t)sizeof data);
	cr_assert_eq(rig_get(r.b, &v), 1);
	cr_expect_eq(v.len, VIA_EXPECT_INITIAL);
	cr_expect_eq(v.flags, VIA_VIEW_CUT);
	r.b->ops->release(r.b, &v, 1);
	close(fd);
	rig_close(&r);
}

/* -- ends -------------------------------------------------------------------------------------- */

Test(link_uds, no_signal_when_the_peer_is_gone)
{
	rig r;
	int i;
	int fd = open_raw(&r);

	close(fd);
	for (i = 0; i < 3; i++) /* SIGPIPE would end the test */
		cr_expect_eq(rig_send_once(r.b, "x", 1), VIA_RESET);
	rig_close(&r);
}

Test(link_uds, a_killed_peer_is_an_end)
{
	rig r;
	via_view v;
	pid_t pid;

	rig_open(&r, "uds");
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	pid = start_child();
	if (pid == 0) {
		int fd = raw_connect(path_of(&r, "svc.sock"));

		if (fd < 0 || send(fd, "last words", 10, 0) != 10)
			_exit(1);
		raise(SIGKILL);
	}
	cr_assert_eq(rig_accept_soon(&r, r.listener, &r.b), VIA_OK);
	cr_assert_eq(rig_get(r.b, &v), 1);
	cr_expect_eq(v.len, 10);
	r.b->ops->release(r.b, &v, 1);
	cr_expect_eq(rig_get(r.b, &v), VIA_CLOSED);
	cr_expect_eq(end_of_child(pid), -1);
	rig_close(&r);
}

/* -- peers ------------------------------------------------------------------------------------- */

Test(link_uds, credentials_are_the_peers)
{
	rig r;
	via_peer p = {.struct_size = sizeof p};
	char want[64];
	pid_t pid;

	rig_open(&r, "uds");
	cr_assert_eq(rig_listen(&r, NULL, &r.listener), VIA_OK);
	pid = start_child();
	if (pid == 0) {
		char c;
		int fd = raw_connect(path_of(&r, "svc.sock"));

		_exit(fd >= 0 && read(fd, &c, 1) == 0 ? 0 : 1); /* until the server hangs up */
	}
	cr_assert_eq(rig_accept_soon(&r, r.listener, &r.b), VIA_OK);
	cr_assert_eq(r.b->ops->peer(r.b, &p), VIA_OK);
	cr_expect_eq(p.valid, VIA_PEER_PID | VIA_PEER_UID | VIA_PEER_GID | VIA_PEER_LABEL);
	cr_expect_eq(p.pid, (uint64_t)pid);
	cr_expect_eq(p.uid, (uint64_t)getuid());
	cr_expect_eq(p.gid, (uint64_t)getgid());
	snprintf(want, sizeof want, "pid %ld uid %lu", (long)pid, (unsigned long)getuid());
	cr_expect_str_eq(p.label, want);
	rig_hang_up(&r.b);
	cr_expect_eq(end_of_child(pid), 0);
	rig_close(&r);
}

/* -- dialling ---------------------------------------------------------------------------------- */

static void dial_finds(rig *r, const char *words)
{
	rig_detail_clear();
	cr_expect_eq(rig_dial(r, NULL, &r->a), VIA_UNREACH, "%s", words);
	cr_expect_not_null(strstr(rig_detail(), words), "expected \"%s\", found \"%s\"", words,
			   rig_detail());
	cr_expect_not_null(strstr(rig_detail(), "svc.sock"), "%s", rig_detail());
}

Test(link_uds, dialling_says_what_is_there)
{
	rig r;
	char path[256];
	int fd;

	rig_open(&r, "uds");
	snprintf(path, sizeof path, "%s", path_of(&r, "svc.sock"));
	dial_finds(&r, "no such socket");
	fd = raw_listen(path, SOCK_SEQPACKET, -1);
	dial_finds(&r, "nobody listens");
	close(fd);
	dial_finds(&r, "nobody listens");
	unlink(path);
	fd = raw_listen(path, SOCK_STREAM, 3);
	dial_finds(&r, "a socket of another type");
	close(fd);
	unlink(path);
	make_file(path);
	dial_finds(&r, "a regular file");
	unlink(path);
	cr_assert_eq(mkdir(path, 0700), 0);
	dial_finds(&r, "a directory");
	rmdir(path);
	cr_assert_eq(symlink("svc.sock", path), 0);
	dial_finds(&r, "a symbolic link");
	unlink(path);
	rig_close(&r);
}

/* A server of another implementation is as good as ours. */
Test(link_uds, dialling_a_foreign_server)
{
	rig r;
	char path[256];
	char got[8];
	int fd, peer;

	rig_open(&r, "uds");
	snprintf(path, sizeof path, "%s", path_of(&r, "svc.sock"));
	fd = raw_listen(path, SOCK_SEQPACKET, 16);
	cr_assert_eq(rig_dial(&r, NULL, &r.a), VIA_OK);
	peer = accept(fd, NULL, NULL);
	cr_assert_geq(peer, 0);
	cr_assert_eq(rig_send_once(r.a, "hi", 2), VIA_OK);
	cr_expect_eq(recv(peer, got, sizeof got, 0), 2);
	close(peer);
	close(fd);
	unlink(path);
	rig_close(&r);
}
