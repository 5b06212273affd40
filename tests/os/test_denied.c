/* tests/os/test_denied.c - the nth system call or allocation fails: every operation fails cleanly.
 */
#include "rig.h"
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(os_denied, .init = rig_open, .fini = rig_close, .timeout = 60);

static via_rc op_waker(void)
{
	via_waitobj o;
	uint32_t ready;
	os_waker *w;
	via_rc rc;

	rc = os_waker_open(&rig_env, &w);
	if (rc != VIA_OK)
		return rc;
	os_waker_object(w, &o);
	os_waker_set(w);
	rc = os_wait(&rig_env, &o, 1, VIA_POLL, &ready);
	os_waker_close(&rig_env, w);
	return rc;
}

static void nothing(void *arg)
{
	(void)arg;
}

static via_rc op_thread(void)
{
	os_thread *t;
	via_rc rc;

	rc = os_thread_start(&rig_env, "denied", nothing, NULL, &t);
	if (rc == VIA_OK)
		os_thread_join(&rig_env, t);
	return rc;
}

static via_rc poll_many(os_poller *p, os_waker **w, uint32_t n)
{
	via_waitobj o;
	os_event ev[4];
	via_rc rc;
	uint32_t i;

	for (i = 0; i < n; i++) {
		os_waker_object(w[i], &o);
		rc = os_poller_add(p, &o, w[i]);
		if (rc == VIA_OK)
			rc = os_poller_modify(p, &o, w[i]);
		if (rc != VIA_OK)
			return rc;
	}
	rc = os_poller_wait(p, ev, 4, os_now() + 1000000u);
	return rc < 0 ? rc : VIA_OK;
}

static via_rc op_poller(void)
{
	os_waker *w[80];
	os_poller *p;
	via_rc rc;
	uint32_t i;

	rig_uses_pool(0);
	rc = os_poller_open(&rig_env, &p);
	if (rc != VIA_OK)
		return rc;
	for (i = 0; i < 80 && rc == VIA_OK; i++)
		rc = os_waker_open(&core_env_libc, &w[i]);
	if (rc == VIA_OK)
		rc = poll_many(p, w, 80);
	os_poller_close(p);
	while (i-- > 0)
		os_waker_close(&core_env_libc, w[i]);
	return rc;
}

#if defined(__linux__) || defined(_WIN32)
static via_rc wait_for_words(uint32_t n_words, int with_waker)
{
	uint32_t w[2] = {0, 0}, i, ready;
	via_waitobj o[3];
	os_waker *waker;
	via_rc rc;

	rc = os_waker_open(&core_env_libc, &waker);
	if (rc != VIA_OK)
		return rc;
	for (i = 0; i < n_words; i++)
		o[i] = (via_waitobj){.kind = VIA_WAIT_WORD, .word = &w[i]};
	os_waker_object(waker, &o[n_words]);
	rc = os_wait(&rig_env, o, n_words + (with_waker ? 1 : 0), os_now() + 1000000u, &ready);
	os_waker_close(&core_env_libc, waker);
	return rc == VIA_TIMEOUT ? VIA_OK : rc;
}

static via_rc op_words(void)
{
	via_rc rc;

	rc = wait_for_words(1, 0);
	if (rc == VIA_OK)
		rc = wait_for_words(2, 0);
	return rc == VIA_OK ? wait_for_words(2, 1) : rc;
}

/* More words than the set has room for at first, and than the kernel waits for in the end. */
static via_rc op_poller_words(void)
{
	static uint32_t w[200];
	via_waitobj o;
	os_waker *waker = NULL;
	os_event ev[4];
	os_poller *p;
	uint32_t i;
	via_rc rc;

	rc = os_poller_open(&rig_env, &p);
	if (rc != VIA_OK)
		return rc;
	rc = os_waker_open(&core_env_libc, &waker);
	for (i = 0; i < 200 && rc >= 0; i++) {
		o = (via_waitobj){.kind = VIA_WAIT_WORD, .word = &w[i]};
		rc = os_poller_add(p, &o, &w[i]);
		if (rc == VIA_OK && i % 60 == 20)
			rc = os_poller_wait(p, ev, 4, os_now() + 100000u);
	}
	if (rc >= 0) {
		os_waker_object(waker, &o);
		os_waker_set(waker);
		rc = os_poller_add(p, &o, waker);
	}
	if (rc >= 0)
		rc = os_poller_wait(p, ev, 4, os_now() + 20000000000u);
	os_poller_close(p);
	os_waker_close(&core_env_libc, waker);
	if (rc >= 0)
		cr_expect_eq(ev[0].key, waker);
	return rc < 0 ? rc : VIA_OK;
}
#endif

static via_rc count_name(void *arg, const char *name)
{
	(void)name;
	++*(int *)arg;
	return VIA_OK;
}

static via_rc op_list(void)
{
	via_rc rc;
	int n = 0;

	rc = os_dir_list(&rig_env, rig_path("d"), count_name, &n);
	if (rc == VIA_OK)
		cr_expect_eq(n, 3, "%d entries", n);
	return rc;
}

static via_rc op_file(void)
{
	char buf[8];
	os_file *f;
	via_rc rc;

	rc = os_file_open(&rig_env, rig_path("d/1"), &f);
	if (rc != VIA_OK)
		return rc;
	rc = os_file_read(f, 0, buf, 5);
	if (rc == VIA_OK)
		rc = os_file_trusted(f, rig_path("d/1"));
	os_file_close(f);
	return rc;
}

static via_rc load(int direct)
{
	unsigned char byte;
	os_image *i;
	os_file *f;
	via_rc rc;

	rc = os_file_open(&rig_env, VIA_TEST_PLUG_A, &f);
	if (rc != VIA_OK)
		return rc;
	rc = os_image_open(&rig_env, f, VIA_TEST_PLUG_A, "plug", direct, &i);
	os_file_close(f);
	if (rc != VIA_OK)
		return rc;
	rc = os_image_read(i, 0, &byte, 1);
	if (rc == VIA_OK)
		rc = os_image_map(i);
	if (rc == VIA_OK)
		cr_expect_not_null(os_image_symbol(i, "plug_answer"));
	os_image_close(i, 0);
	return rc;
}

static via_rc op_image(void)
{
	return load(0);
}

static via_rc op_direct(void)
{
	return load(1);
}

/* The same with memory files missing, so that the way through a file is walked as well. */
static via_rc op_image_on_disk(void)
{
	via_rc rc;

#if !defined(_WIN32)
	cr_assert_eq(setenv("XDG_RUNTIME_DIR", rig_path("d/sub"), 1), 0);
#endif
	rig_deny_call("memfd_create", ENOSYS);
	rc = load(0);
	rig_deny_call(NULL, 0);
	cr_expect_eq(rig_count_entries(rig_path("d/sub")), 0u, "a copy was left");
	return rc;
}

struct op {
	char name[16];
	int which;
};

static via_rc (*const ops[])(void) = {
	op_waker, op_thread,       op_poller,        op_list,
	op_file,  op_image,        op_image_on_disk, op_direct,
#if defined(__linux__) || defined(_WIN32)
	op_words, op_poller_words,
#endif
};
static struct op op_names[] = {
	{"waker", 0}, {"thread", 1},       {"poller", 2},  {"list", 3},
	{"file", 4},  {"image", 5},        {"on disk", 6}, {"direct", 7},
#if defined(__linux__) || defined(_WIN32)
	{"words", 8}, {"poller words", 9},
#endif
};

ParameterizedTestParameters(os_denied, nth_call)
{
	return cr_make_param_array(struct op, op_names, sizeof op_names / sizeof op_names[0]);
}

ParameterizedTest(struct op *op, os_denied, nth_call)
{
	int descriptors, allocations = rig_allocations();
	unsigned int nth, failed = 0;
	via_rc rc;

	rig_mkdir(rig_path("d"));
	rig_mkdir(rig_path("d/sub"));
	rig_write(rig_path("d/1"), "12345", 5);
	rig_write(rig_path("d/2"), "", 0);
	cr_assert_eq(ops[op->which](), VIA_OK, "%s: %s", op->name, via_error());
	descriptors = rig_descriptors();
	for (nth = 1; nth < 100000; nth++) {
		core_error_clear();
		rig_deny(nth);
		rc = ops[op->which]();
		if (rig_denied() == 0)
			break;
		if (rc != VIA_OK) {
			failed++;
			cr_expect_lt(rc, 0, "%s: call %u", op->name, nth);
			cr_expect_neq(via_error()[0], '\0', "%s: call %u failed without a word",
				      op->name, nth);
		}
		cr_expect(rig_balanced(descriptors), "%s: call %u left a descriptor", op->name,
			  nth);
		cr_expect_eq(rig_allocations(), allocations, "%s: call %u left memory", op->name,
			     nth);
	}
	rig_deny(0);
	cr_assert_eq(rc, VIA_OK, "%s: nothing was denied and yet: %s", op->name, via_error());
	cr_assert_gt(failed, 0u, "%s: none of %u denied calls mattered", op->name, nth);
	cr_log_info("%s: %u calls denied, %u failures", op->name, nth - 1, failed);
}
