/* tests/session/test_death.c - a peer that dies by signal 9: its sockets end, and that is seen at once. */
#include "sess_rig.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(death, .init = sr_open, .fini = sr_close, .timeout = 60);

/* A server process: accepts sessions for ever, answers nothing. Opened after the fork, like any server. */
static pid_t fork_server(const char *spec, int ready)
{
	pid_t pid = fork();
	via_session *s;

	if (pid != 0)
		return pid;
	{
		via_endpoint ep = sr_endpoint(spec, "svc");
		via_acceptor *a;

		if (via_acceptor_open(r_, &ep, NULL, &a) != VIA_OK || write(ready, "r", 1) != 1)
			_exit(1);
		while (via_acceptor_accept(a, VIA_FOREVER, &s) == VIA_OK)
			if (write(ready, "s", 1) != 1)
				_exit(1);
		_exit(2);
	}
}

static void wait_byte(int fd)
{
	char c;

	cr_assert_eq(read(fd, &c, 1), 1);
}

static const char *const specs[] = {"uds", "fault+uds"};

Test(death, of_the_server_during_a_call)
{
	uint32_t i, up;

	for (i = 0; i < 4; i++) {
		via_endpoint ep = sr_endpoint(specs[i % 2], "svc");
		via_session_config c = sr_config();
		via_message m = {.kind = VIA_WIRE_REQUEST, .item_count = 1, .id = 1};
		via_session *s = NULL;
		int ready[2];
		via_time t0;
		pid_t pid;
		via_rc rc;

		up = i / 2;
		cr_assert_eq(pipe(ready), 0);
		pid = fork_server(specs[i % 2], ready[1]);
		cr_assert_gt(pid, 0);
		wait_byte(ready[0]);
		c.profiles = 1;
		sr_ok(via_session_connect(r_, &ep, &c, rig_soon(), &s));
		wait_byte(ready[0]);
		if (up != 0)
			sr_ok(via_session_send(s, &m)); /* unread when it dies */
		sr_is(via_session_recv(s, &m), VIA_AGAIN);
		t0 = os_now();
		cr_assert_eq(kill(pid, SIGKILL), 0);
		rc = via_session_recv_wait(s, &m, rig_soon());
		cr_assert(rc == VIA_CLOSED || rc == VIA_RESET, "%s: %s", via_rc_name(rc),
			  via_error());
		cr_assert_lt(os_now() - t0, 5000000000u);
		cr_assert_eq(waitpid(pid, NULL, 0), pid);
		via_session_close(s);
		sr_is(via_session_connect(r_, &ep, &c, rig_soon(), &s), VIA_UNREACH);
		sr_listen(specs[i % 2], NULL); /* its dead endpoint is in nobody's way */
		via_acceptor_close(acceptor_);
		acceptor_ = NULL;
		close(ready[0]);
		close(ready[1]);
	}
}

Test(death, of_the_server_behind_a_typed_client)
{
	via_client_options o = {.struct_size = sizeof o, .endpoint = sr_endpoint("uds", "svc")};
	via_request q = {.method = 1};
	via_client *c = NULL;
	via_reply reply;
	int ready[2];
	pid_t pid;
	via_rc rc;

	cr_assert_eq(pipe(ready), 0);
	pid = fork_server("uds", ready[1]);
	cr_assert_gt(pid, 0);
	wait_byte(ready[0]);
	o.config = (via_session_config){.struct_size = sizeof o.config, .profiles = 1};
	sr_ok(via_client_open(r_, &o, &c));
	sr_ok(via_client_refresh(c, rig_soon()));
	wait_byte(ready[0]);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	rc = via_client_call(c, &q, 0, &reply);
	cr_assert(rc == VIA_CLOSED || rc == VIA_RESET, "%s: %s", via_rc_name(rc), via_error());
	cr_assert_eq(via_client_get_state(c), VIA_CLIENT_BROKEN);
	cr_assert_eq(waitpid(pid, NULL, 0),
		     pid); /* its listener is gone a moment after its connections */
	sr_is(via_client_refresh(c, rig_soon()), VIA_UNREACH);
	cr_assert_eq(via_client_get_state(c), VIA_CLIENT_NOT_FOUND);
	via_client_close(c);
	sr_listen("uds", NULL); /* and the run directory is clean when it closes */
	close(ready[0]);
	close(ready[1]);
}

Test(death, of_the_client)
{
	int up[2];
	via_session *s = NULL;
	via_message m;
	pid_t pid;
	via_rc rc;

	cr_assert_eq(pipe(up), 0);
	sr_listen("uds", NULL);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		via_endpoint ep = sr_endpoint("uds", "svc");
		via_session_config c = {.struct_size = sizeof c, .profiles = 1};
		via_session *mine;

		if (via_session_connect(r_, &ep, &c, rig_soon(), &mine) == VIA_OK &&
		    write(up[1], "u", 1) == 1)
			pause();
		_exit(1);
	}
	sr_ok(via_acceptor_accept(acceptor_, rig_soon(), &s));
	wait_byte(up[0]);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	rc = via_session_recv_wait(s, &m, rig_soon());
	cr_assert(rc == VIA_CLOSED || rc == VIA_RESET, "%s", via_rc_name(rc));
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	via_session_close(s);
	close(up[0]);
	close(up[1]);
}
