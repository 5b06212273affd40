/* tests/link/posixshm_rig.c - ends of regions, files that look like regions, and the raw peer. */
#include "posixshm_rig.h"
#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

/* -- the module's ends ------------------------------------------------------------------------- */

via_upgrade shm_upgrade(const rig *r, const char *service, uint64_t id, uint32_t request,
			uint32_t response)
{
	return (via_upgrade){.struct_size = sizeof(via_upgrade),
			     .profile = 2,
			     .ns = r->dir,
			     .service = service,
			     .session_id = id,
			     .max_request = request,
			     .max_response = response};
}

via_rc shm_provision(rig *r, uint64_t id, uint32_t request, uint32_t response, via_link **out)
{
	via_upgrade u = shm_upgrade(r, "svc", id, request, response);

	return r->layer[0].t->provision(r->layer[0].self, &u, out);
}

via_rc shm_attach(rig *r, uint64_t id, uint32_t request, uint32_t response, via_link **out)
{
	via_upgrade u = shm_upgrade(r, "svc", id, request, response);

	return r->layer[0].t->attach(r->layer[0].self, &u, out);
}

void shm_open_pair(rig *r, uint32_t request, uint32_t response)
{
	rig_open(r, "posixshm");
	cr_assert_eq(shm_provision(r, 1, request, response, &r->b), VIA_OK, "%s", rig_detail());
	cr_assert_eq(shm_attach(r, 1, request, response, &r->a), VIA_OK, "%s", rig_detail());
	cr_assert_eq(r->a->ops->expect(r->a, response), VIA_OK);
	cr_assert_eq(r->b->ops->expect(r->b, request), VIA_OK);
}

const char *shm_path_of(const rig *r, const char *name)
{
	static _Thread_local char path[256];

	snprintf(path, sizeof path, "%s/%s", r->dir, name);
	return path;
}

const char *shm_path(const rig *r, uint64_t id)
{
	char name[64];

	snprintf(name, sizeof name, "svc-%016llx.ipcshm", (unsigned long long)id);
	return shm_path_of(r, name);
}

static struct timespec left_until(via_time deadline)
{
	via_time now = rig_now();
	uint64_t ns = now >= deadline ? 0 : deadline - now;

	return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u),
				 .tv_nsec = (long)(ns % 1000000000u)};
}

int shm_sleep(const via_waitobj *o, via_time deadline)
{
	struct timespec t = left_until(deadline);

	cr_assert_eq(o->kind, VIA_WAIT_WORD);
	return syscall(SYS_futex, o->word, FUTEX_WAIT, o->expected, &t, NULL, 0) == 0 ||
	       errno != ETIMEDOUT;
}

static via_rc until(via_link *l, uint32_t events, via_time deadline)
{
	via_waitobj o = {.struct_size = sizeof o};
	via_rc rc = l->ops->arm(l, events, &o);
	int woke;

	if (rc == VIA_BUSY)
		return VIA_OK;
	if (rc != VIA_OK)
		return rc;
	woke = shm_sleep(&o, deadline);
	l->ops->disarm(l, events);
	return woke ? VIA_OK : VIA_TIMEOUT;
}

via_rc shm_get(via_link *l, via_view *out)
{
	via_time deadline = rig_now() + RIG_SOON;

	for (;;) {
		via_rc rc = l->ops->recv(l, out, 1);

		if (rc == VIA_AGAIN)
			rc = until(l, VIA_EV_RX, deadline);
		if (rc != VIA_OK)
			return rc;
	}
}

via_rc shm_put(via_link *l, const void *data, uint32_t len)
{
	via_time deadline = rig_now() + RIG_SOON;

	for (;;) {
		via_rc rc = rig_send_once(l, data, len);

		if (rc != VIA_AGAIN)
			return rc;
		rc = until(l, VIA_EV_TX, deadline);
		if (rc != VIA_OK)
			return rc;
	}
}

void shm_expect_record(via_link *l, uint32_t len, uint32_t number)
{
	via_view v;
	via_rc rc = shm_get(l, &v);

	cr_assert_eq(rc, 1, "record %u: %d, %s", number, rc, rig_detail());
	cr_expect_eq(v.flags, VIA_VIEW_SHARED);
	rig_check_fill(&v, len, number);
	l->ops->release(l, &v, 1);
}

void shm_roundtrip(rig *r, uint32_t request, uint32_t response, uint32_t number)
{
	uint8_t *data = malloc(request > response ? request : response);

	cr_assert_not_null(data);
	rig_fill(data, request, number);
	cr_assert_eq(rig_send_once(r->a, data, request), VIA_OK, "%s", rig_detail());
	shm_expect_record(r->b, request, number);
	rig_fill(data, response, number + 1);
	cr_assert_eq(rig_send_once(r->b, data, response), VIA_OK, "%s", rig_detail());
	shm_expect_record(r->a, response, number + 1);
	free(data);
}

/* -- system calls ------------------------------------------------------------------------------ */

static struct {
	const char *call;
	uint32_t left;
	void (*fn)(rig *);
} trap;

static void spring(void *arg, const char *call)
{
	rig *r = arg;

	if (trap.left == 0 || strcmp(call, trap.call) != 0 || --trap.left != 0)
		return;
	if (trap.fn != NULL)
		trap.fn(r);
	else
		r->host.fail_call = atomic_load(&r->host.calls);
}

void shm_before(rig *r, const char *call, uint32_t nth, void (*fn)(rig *))
{
	trap.call = call;
	trap.left = nth;
	trap.fn = fn;
	r->host.hook = spring;
	r->host.hook_arg = r;
	r->host.fail_call = 0;
}

void shm_deny(rig *r, const char *call, uint32_t nth, int error)
{
	shm_before(r, call, nth, NULL);
	r->host.error = error;
}

/* -- files ------------------------------------------------------------------------------------- */

int shm_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

uint64_t shm_inode(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_ino : 0;
}

void shm_write(const char *path, const void *data, size_t len, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, data, len), (ssize_t)len);
	cr_assert_eq(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

void shm_write_region(const char *path, int32_t pid, uint32_t generation)
{
	raw_peer p;

	cr_assert_eq(raw_create(&p, path, 64, 64), 0);
	raw_set32(&p, AT_PID, (uint32_t)pid);
	raw_set32(&p, AT_GENERATION, generation);
	raw_close(&p);
}

pid_t shm_child(void)
{
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

int shm_child_ends(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -2;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int32_t shm_dead_pid(void)
{
	pid_t pid = shm_child();

	if (pid == 0)
		_exit(0);
	cr_assert_eq(shm_child_ends(pid), 0);
	return (int32_t)pid;
}

/* -- raw peer ---------------------------------------------------------------------------------- */

static _Atomic uint32_t *word32(const raw_peer *p, uint32_t at)
{
	return (_Atomic uint32_t *)(void *)(p->base + at);
}

static _Atomic uint64_t *word64(const raw_peer *p, uint32_t at)
{
	return (_Atomic uint64_t *)(void *)(p->base + at);
}

uint32_t raw_u32(const raw_peer *p, uint32_t at)
{
	return atomic_load(word32(p, at));
}

uint64_t raw_u64(const raw_peer *p, uint32_t at)
{
	return atomic_load(word64(p, at));
}

void raw_set32(raw_peer *p, uint32_t at, uint32_t v)
{
	atomic_store(word32(p, at), v);
}

void raw_set64(raw_peer *p, uint32_t at, uint64_t v)
{
	atomic_store(word64(p, at), v);
}

static uint32_t up64(uint32_t n)
{
	return (n + 63) / 64 * 64;
}

int raw_create(raw_peer *p, const char *path, uint32_t request_cap, uint32_t response_cap)
{
	uint32_t request = up64(request_cap), response = up64(response_cap);
	const uint16_t version = 3, header_len = 64;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	*p = (raw_peer){.size = RAW_HEADER + request + response, .is_server = 1};
	if (posix_fallocate(fd, 0, (off_t)p->size) != 0)
		goto fail;
	p->base = mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p->base == MAP_FAILED)
		goto fail;
	close(fd);
	raw_set32(p, AT_MAGIC, 0x4E53484D);
	memcpy(p->base + AT_VERSION, &version, sizeof version);
	memcpy(p->base + AT_HEADER_LEN, &header_len, sizeof header_len);
	raw_set32(p, AT_PID, (uint32_t)getpid());
	raw_set32(p, AT_GENERATION, 12345);
	raw_set32(p, AT_REQ_OFFSET, RAW_HEADER);
	raw_set32(p, AT_REQ_CAP, request);
	raw_set32(p, AT_RESP_OFFSET, RAW_HEADER + request);
	raw_set32(p, AT_RESP_CAP, response);
	return 0;
fail:
	close(fd);
	unlink(path);
	return -1;
}

int raw_attach(raw_peer *p, const char *path, int as_server)
{
	struct stat st;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -1;
	*p = (raw_peer){.is_server = as_server};
	if (fstat(fd, &st) == 0 && st.st_size >= RAW_HEADER) {
		p->size = (size_t)st.st_size;
		p->base = mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	}
	close(fd);
	if (p->base == NULL || p->base == MAP_FAILED)
		return -1;
	p->tx = raw_u64(p, as_server ? AT_RESP_SEQ : AT_REQ_SEQ);
	p->rx = raw_u64(p, as_server ? AT_REQ_SEQ : AT_RESP_SEQ);
	return 0;
}

void raw_close(raw_peer *p)
{
	munmap(p->base, p->size);
	p->base = NULL;
}

int raw_send(raw_peer *p, const void *data, uint32_t len)
{
	uint32_t offset = raw_u32(p, p->is_server ? AT_RESP_OFFSET : AT_REQ_OFFSET);
	uint32_t cap = raw_u32(p, p->is_server ? AT_RESP_CAP : AT_REQ_CAP);
	uint32_t signal_at = p->is_server ? AT_RESP_SIGNAL : AT_REQ_SIGNAL;

	if (len == 0 || len > cap)
		return -1;
	memcpy(p->base + offset, data, len);
	raw_set32(p, p->is_server ? AT_RESP_LEN : AT_REQ_LEN, len);
	atomic_fetch_add(word64(p, p->is_server ? AT_RESP_SEQ : AT_REQ_SEQ), 1);
	atomic_fetch_add(word32(p, signal_at), 1);
	p->tx++;
	return syscall(SYS_futex, p->base + signal_at, FUTEX_WAKE, 1, NULL, NULL, 0) < 0 ? -1 : 0;
}

int64_t raw_recv(raw_peer *p, void *buf, uint32_t cap)
{
	uint32_t seq_at = p->is_server ? AT_REQ_SEQ : AT_RESP_SEQ;
	uint32_t signal_at = p->is_server ? AT_REQ_SIGNAL : AT_RESP_SIGNAL;
	uint32_t offset = raw_u32(p, p->is_server ? AT_REQ_OFFSET : AT_RESP_OFFSET);
	via_time deadline = rig_now() + RIG_SOON;
	uint32_t len;

	for (;;) {
		uint32_t seen = raw_u32(p, signal_at);
		struct timespec t = left_until(deadline);

		if (raw_u64(p, seq_at) > p->rx)
			break;
		if (syscall(SYS_futex, p->base + signal_at, FUTEX_WAIT, seen, &t, NULL, 0) != 0 &&
		    errno == ETIMEDOUT)
			return -1;
	}
	p->rx++;
	len = raw_u32(p, p->is_server ? AT_REQ_LEN : AT_RESP_LEN);
	if (len == 0 || len > cap)
		return -1;
	memcpy(buf, p->base + offset, len);
	return len;
}
