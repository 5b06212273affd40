/* tests/server/raw.c - see raw.h. */
#include "raw.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int raw_wait(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, (int)(RIG_SOON / RIG_MS)) == 1;
}

int raw_try_connect(const rig *r, const char *service)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	snprintf(sa.sun_path, sizeof sa.sun_path, "%.60s/%.30s.sock", r->dir, service);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&sa, sizeof sa) != 0) {
		err = errno;
		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

int raw_connect(const rig *r, const char *service)
{
	int fd;

	rig_until((fd = raw_try_connect(r, service)) >= 0 || errno != EAGAIN);
	cr_assert_geq(fd, 0, "connect: %d", errno);
	return fd;
}

void raw_send(int fd, const void *p, size_t len)
{
	ssize_t n;

	do {
		n = send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EAGAIN && raw_wait(fd, POLLOUT));
}

ssize_t raw_recv(int fd, void *p, size_t cap)
{
	ssize_t n;

	for (;;) {
		n = recv(fd, p, cap, MSG_DONTWAIT);
		if (n >= 0)
			return n;
		if (errno == ECONNRESET)
			return 0;
		if (errno != EAGAIN || !raw_wait(fd, POLLIN))
			return -1;
	}
}

uint16_t raw_hello(int fd, const via_session_config *config)
{
	via_wire_hello h = {.layout = 1,
			    .supported = 1,
			    .max_request_payload =
				    config != NULL ? config->max_request_payload : 1024,
			    .max_request_batch = config != NULL && config->max_request_batch != 0
							 ? config->max_request_batch
							 : 1,
			    .max_response_payload = 1024,
			    .max_response_batch = 1,
			    .auth_token = 7,
			    .packet_size = config != NULL && config->packet_size != 0
						   ? config->packet_size
						   : 65536};
	uint8_t bytes[256];
	via_wire_header ack = {0};

	raw_send(fd, bytes, via_wire_hello_packet(&h, bytes));
	cr_assert_eq(raw_recv(fd, bytes, sizeof bytes), VIA_WIRE_ACK_PACKET, "no answer to HELLO");
	cr_assert_eq(via_wire_header_decode(bytes, sizeof bytes, &ack, NULL), VIA_OK);
	return ack.status;
}

int raw_session(const rig *r, const char *service, const via_session_config *config)
{
	int fd = raw_connect(r, service);

	cr_assert_eq(raw_hello(fd, config), VIA_STATUS_OK);
	return fd;
}

void raw_request(int fd, const via_wire_header *h, const void *payload, size_t len)
{
	static _Thread_local uint8_t bytes[RAW_MAX];

	cr_assert_leq(len + VIA_WIRE_HEADER, sizeof bytes);
	via_wire_header_encode(h, bytes);
	if (len != 0)
		memcpy(bytes + VIA_WIRE_HEADER, payload, len);
	raw_send(fd, bytes, VIA_WIRE_HEADER + len);
}

void raw_number(int fd, uint64_t id, uint64_t number)
{
	uint8_t payload[VIA_INCREMENT_SIZE];
	uint64_t used = 0;

	via_increment_encode(payload, sizeof payload, number, &used);
	raw_request(fd,
		    &(via_wire_header){.kind = VIA_WIRE_REQUEST,
				       .code = NUMBER,
				       .payload_len = sizeof payload,
				       .item_count = 1,
				       .message_id = id},
		    payload, sizeof payload);
}

void raw_expect_number(int fd, uint64_t id, uint64_t number)
{
	uint8_t bytes[128];
	via_wire_header h = {0};
	uint64_t got = 0;

	cr_assert_eq(raw_recv(fd, bytes, sizeof bytes), VIA_WIRE_HEADER + VIA_INCREMENT_SIZE,
		     "no answer to %llu", (unsigned long long)id);
	cr_assert_eq(via_wire_header_decode(bytes, sizeof bytes, &h, NULL), VIA_OK);
	cr_assert_eq(h.kind, VIA_WIRE_RESPONSE);
	cr_assert_eq(h.status, VIA_STATUS_OK);
	cr_assert_eq(h.code, NUMBER);
	cr_assert_eq(h.flags, 0);
	cr_assert_eq(h.item_count, 1);
	cr_assert_eq(h.message_id, id);
	cr_assert_eq(via_increment_decode(bytes + VIA_WIRE_HEADER, VIA_INCREMENT_SIZE, &got, NULL),
		     VIA_OK);
	cr_assert_eq(got, number + 1);
}

void raw_expect_status(int fd, uint64_t id, uint16_t code, uint16_t status)
{
	uint8_t bytes[128];
	via_wire_header h = {0};
	ssize_t n = raw_recv(fd, bytes, sizeof bytes);

	cr_assert_eq(n, VIA_WIRE_HEADER, "expected an empty answer, found %d bytes", (int)n);
	cr_assert_eq(via_wire_header_decode(bytes, sizeof bytes, &h, NULL), VIA_OK);
	cr_assert_eq(h.kind, VIA_WIRE_RESPONSE);
	cr_assert_eq(h.status, status, "expected %s, found %s", via_wire_status_name(status),
		     via_wire_status_name(h.status));
	cr_assert_eq(h.code, code);
	cr_assert_eq(h.flags, 0);
	cr_assert_eq(h.item_count, 1);
	cr_assert_eq(h.payload_len, 0);
	cr_assert_eq(h.message_id, id);
}

void raw_expect_end(int fd)
{
	static _Thread_local uint8_t bytes[RAW_MAX];
	ssize_t n;

	while ((n = raw_recv(fd, bytes, sizeof bytes)) > 0)
		;
	cr_assert_eq(n, 0, "the server did not close");
}
