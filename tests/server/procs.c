/* tests/server/procs.c - see procs.h. */
#include "procs.h"
#include <stdlib.h>

char proc_stacks[][RIG_STACK_MAX] = {
#if defined(_WIN32)
	"pipe>winshm",
	"pipe",
#else
	"uds>ring",
	"uds>posixshm",
#endif
};
const size_t proc_n_stacks = sizeof proc_stacks / sizeof proc_stacks[0];

size_t proc_n_shared(void)
{
	size_t n = 0;

	while (n < proc_n_stacks && strchr(proc_stacks[n], '>') != NULL)
		n++;
	return n;
}

unsigned proc_setting(const char *name, unsigned otherwise)
{
	const char *s = getenv(name);

	return s != NULL ? (unsigned)strtoul(s, NULL, 10) : otherwise;
}

uint32_t proc_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

void proc_let_pass(uint64_t ns)
{
	uint32_t ready;

	(void)os_wait(&core_env_libc, NULL, 0, via_deadline(ns), &ready);
}

struct order {
	char stack[RIG_STACK_MAX], dir[64], modules[256];
	uint32_t policy;
	uint64_t fn;
	_Alignas(16) char arg[64];
};

/* The other process: a rig of its own, as far as one is needed there. */
static int obey(const void *arg)
{
	static rig mine;
	const struct order *o = arg;
	int (*fn)(rig * r, const void *arg) = (int (*)(rig *, const void *))proc_function(o->fn);
	via_registry_options options = {.struct_size = sizeof options,
					.load_mode = VIA_LOAD_DIRECT,
					.policy = o->policy,
					.module_path = mine.modules};

	memcpy(mine.stack, o->stack, sizeof mine.stack);
	memcpy(mine.dir, o->dir, sizeof mine.dir);
	memcpy(mine.modules, o->modules, sizeof mine.modules);
	os_mutex_init(&mine.lock);
	if (via_registry_open(&options, &mine.reg) != VIA_OK)
		return 90;
	return fn(&mine, o->arg);
}

void proc_start_rig(proc *p, const rig *r, int (*fn)(rig *r, const void *arg), const void *arg,
		    size_t len)
{
	struct order o = {.policy = r->policy, .fn = proc_number((proc_fn *)fn)};

	cr_assert_leq(len, sizeof o.arg);
	memcpy(o.stack, r->stack, sizeof o.stack);
	memcpy(o.dir, r->dir, sizeof o.dir);
	memcpy(o.modules, r->modules, sizeof o.modules);
	if (len != 0)
		memcpy(o.arg, arg, len);
	proc_start(p, obey, &o, sizeof o);
}

int proc_wait_soon(proc *p)
{
	return proc_wait(p,
			 via_deadline(RIG_SOON + proc_setting("VIADUCT_SCRIBBLE_MS", 0) * RIG_MS));
}

void proc_warm_up(rig *r)
{
	via_session *s[8];
	int i;

	for (i = 0; i < 8; i++)
		s[i] = rig_connect(r, "svc", NULL);
	for (i = 0; i < 8; i++) {
		cr_assert_eq(rig_send_number(s[i], 1, 1), VIA_OK);
		rig_expect_number(s[i], 1, 1);
		via_session_close(s[i]);
	}
	rig_until(rig_stats(r).n_sessions == 0);
}
