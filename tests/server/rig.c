/* tests/server/rig.c - see rig.h. */
#include "rig.h"
#include "rig_os.h"

char rig_stacks[][RIG_STACK_MAX] = {
	"loop",     PLATFORM_BASELINE,
#if defined(__linux__)
	"uds>ring", "uds>posixshm",    "fault+uds>ring", "uds>fault+ring",
#elif defined(_WIN32)
	"pipe>winshm", "fault+pipe>winshm", "pipe>fault+winshm",
#endif
};
const size_t rig_n_stacks = sizeof rig_stacks / sizeof rig_stacks[0];

/* -- waiting ----------------------------------------------------------------------------------- */

void rig_pause(void)
{
	os_mutex m;
	os_cond c;

	os_mutex_init(&m);
	os_cond_init(&c);
	os_mutex_lock(&m);
	os_cond_wait_until(&c, &m, via_deadline(RIG_MS / 4));
	os_mutex_unlock(&m);
	os_cond_destroy(&c);
	os_mutex_destroy(&m);
}

/* -- hooks ------------------------------------------------------------------------------------- */

static int is_due(rig *r, atomic_uint *count)
{
	unsigned n = atomic_load(count);

	while (n != 0 && !atomic_compare_exchange_weak(count, &n, n - 1))
		;
	if (n != 1)
		return 0;
	atomic_fetch_add(&r->failed, 1);
	return 1;
}

static void *hook_alloc(void *arg, uint64_t size, uint64_t align)
{
	rig *r = arg;
	void *p;

	atomic_fetch_add(&r->allocs, 1);
	if (is_due(r, &r->fail_alloc))
		return NULL;
	p = core_env_libc.alloc(core_env_libc.arg, size, align);
	if (p != NULL)
		atomic_fetch_add(&r->live, 1);
	return p;
}

static void hook_free(void *arg, void *p)
{
	rig *r = arg;

	if (p != NULL)
		atomic_fetch_sub(&r->live, 1);
	core_env_libc.free(core_env_libc.arg, p);
}

static int32_t hook_deny(void *arg, const char *call)
{
	rig *r = arg;
	const char *name = atomic_load(&r->deny_call);

	atomic_fetch_add(&r->gates, 1);
	if (name != NULL && strcmp(name, call) == 0) {
		unsigned left = atomic_load(&r->deny_after);

		while (left != 0 && !atomic_compare_exchange_weak(&r->deny_after, &left, left - 1))
			;
		if (left != 0)
			return 0;
		atomic_fetch_add(&r->denied, 1);
		if (r->on_denied != NULL)
			r->on_denied();
		return atomic_load(&r->deny_error);
	}
	return is_due(r, &r->fail_gate) ? rig_no_memory : 0;
}

static void hook_log(void *arg, int32_t level, const char *origin, const char *text)
{
	rig *r = arg;
	int n;

	os_mutex_lock(&r->lock);
	n = snprintf(r->log + r->log_len, sizeof r->log - r->log_len, "%d %s: %s\n", (int)level,
		     origin, text);
	if (n > 0 && r->log_len + (size_t)n < sizeof r->log)
		r->log_len += (size_t)n;
	r->log[r->log_len] = '\0';
	os_mutex_unlock(&r->lock);
}

int rig_log_count(rig *r, const char *text)
{
	const char *at;
	int n = 0;

	os_mutex_lock(&r->lock);
	for (at = r->log; (at = strstr(at, text)) != NULL; at++)
		n++;
	os_mutex_unlock(&r->lock);
	return n;
}

int rig_log_has(rig *r, const char *text)
{
	return rig_log_count(r, text) != 0;
}

/* -- registry and server ----------------------------------------------------------------------- */

void rig_prepare(rig *r, const char *stack)
{
	memset(r, 0, sizeof *r);
	snprintf(r->stack, sizeof r->stack, "%s", stack);
	snprintf(r->modules, sizeof r->modules, "%s", VIA_TEST_MODULE_DIR);
	os_mutex_init(&r->lock);
	r->hooks = (via_hooks){.struct_size = sizeof r->hooks,
			       .arg = r,
			       .alloc = hook_alloc,
			       .free = hook_free,
			       .deny = hook_deny};
	r->options = (via_server_options){.struct_size = sizeof r->options, .n_workers = 2};
	r->policy = VIA_POLICY_BALANCED;
	rig_make_dir(r);
	r->descriptors = rig_descriptors();
	r->threads = rig_threads();
}

via_rc rig_open_registry(rig *r)
{
	via_registry_options o = {.struct_size = sizeof o,
				  .load_mode = VIA_LOAD_DIRECT,
				  .policy = r->policy,
				  .log_level = VIA_LOG_INFO,
				  .module_path = r->modules,
				  .log = hook_log,
				  .log_arg = r,
				  .hooks = &r->hooks};

	return via_registry_open(&o, &r->reg);
}

via_rc rig_open_server(rig *r)
{
	return via_server_open(r->reg, &r->options, &r->srv);
}

void rig_open(rig *r, const char *stack)
{
	rig_prepare(r, stack);
	cr_assert_eq(rig_open_registry(r), VIA_OK, "%s", via_error());
	cr_assert_eq(rig_open_server(r), VIA_OK, "%s", via_error());
}

void rig_stop(rig *r)
{
	via_rc rc;

	via_server_close(r->srv);
	r->srv = NULL;
	if (r->reg != NULL) {
		rc = via_registry_close(r->reg);
		cr_assert_eq(rc, VIA_OK, "%s", via_error());
		r->reg = NULL;
	}
	cr_expect_eq(atomic_load(&r->live), 0, "%lld allocations are left",
		     (long long)atomic_load(&r->live));
	rig_until(rig_threads() == r->threads);
	rig_check_descriptors(r->descriptors);
}

void rig_close(rig *r)
{
	rig_stop(r);
	rig_remove_dir(r);
	os_mutex_destroy(&r->lock);
}

uint32_t rig_profiles(const rig *r)
{
	return strchr(r->stack, '>') != NULL ? 0 : 1;
}

via_endpoint rig_endpoint(const rig *r, const char *service)
{
	return (via_endpoint){.struct_size = sizeof(via_endpoint),
			      .service = service,
			      .run_dir = r->dir,
			      .transport = r->stack,
			      .auth_token = 7};
}

via_server_stats rig_stats(rig *r)
{
	via_server_stats st = {.struct_size = sizeof st};

	via_server_get_stats(r->srv, &st);
	return st;
}

void rig_add(rig *r, rig_svc *v, const char *service, const via_session_config *config)
{
	via_endpoint ep = rig_endpoint(r, service);

	cr_assert_eq(via_server_add_service(r->srv, &ep, config, &v->vt, v), VIA_OK, "%s",
		     via_error());
}

void rig_start(rig *r)
{
	cr_assert_eq(via_server_start(r->srv), VIA_OK, "%s", via_error());
}

/* -- threads ----------------------------------------------------------------------------------- */

os_thread *rig_thread(void (*fn)(void *), void *arg)
{
	os_thread *t = NULL;

	cr_assert_eq(os_thread_start(&core_env_libc, "test", fn, arg, &t), VIA_OK, "%s",
		     via_error());
	return t;
}

void rig_join(os_thread *t)
{
	os_thread_join(&core_env_libc, t);
}
