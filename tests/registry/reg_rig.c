/* tests/registry/reg_rig.c - see reg_rig.h. */
#include "reg_rig.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* -- files ------------------------------------------------------------------------------------- */

const char *rr_built(const char *variant)
{
	static char path[1024];

	snprintf(path, sizeof path, "%s/%s" OS_MODULE_SUFFIX, VIA_TEST_REGISTRY_MODULES, variant);
	return path;
}

void rr_put(const char *variant, const char *to)
{
	char name[256];

	snprintf(name, sizeof name, "%s" OS_MODULE_SUFFIX, to);
	rig_copy(rr_built(variant), rig_path(name));
}

void rr_move(const char *variant, const char *to)
{
	char name[256], temporary[1024], final[1024];

	snprintf(name, sizeof name, "%s.new", to);
	snprintf(temporary, sizeof temporary, "%s", rig_path(name));
	snprintf(name, sizeof name, "%s" OS_MODULE_SUFFIX, to);
	snprintf(final, sizeof final, "%s", rig_path(name));
	rig_copy(rr_built(variant), temporary);
#if defined(_WIN32)
	remove(final);
#endif
	cr_assert_eq(rename(temporary, final), 0);
}

void rr_retired(int n)
{
#if defined(_WIN32)
	(void)n;
#else
	rig_keep(n);
#endif
}

/* -- registries -------------------------------------------------------------------------------- */

static char log_text[16384];
static atomic_flag log_lock = ATOMIC_FLAG_INIT;

static void keep_log(void *arg, int32_t level, const char *origin, const char *text)
{
	size_t len;

	(void)arg;
	while (atomic_flag_test_and_set(&log_lock))
		os_cpu_relax();
	len = strlen(log_text);
	snprintf(log_text + len, sizeof log_text - len, "%d %s: %s\n", level, origin, text);
	atomic_flag_clear(&log_lock);
}

const char *rr_log(void)
{
	return log_text;
}

void rr_options(via_registry_options *o)
{
	*o = (via_registry_options)VIA_REGISTRY_OPTIONS_INIT;
	o->log = keep_log;
	o->log_level = VIA_LOG_TRACE;
	o->hooks = &rig_env;
}

via_registry *rr_open_path(const char *path, const core_builtin *builtins)
{
	via_registry_options o;
	via_registry *r = NULL;
	via_rc rc;

	rr_options(&o);
	o.module_path = path;
	rc = reg_open(&o, builtins, &r);
	cr_assert_eq(rc, VIA_OK, "%s: %s", via_rc_name(rc), via_error());
	return r;
}

static const char *root(void)
{
	static char path[1024];

	snprintf(path, sizeof path, "%s", rig_path("x"));
	path[strlen(path) - 2] = '\0';
	return path;
}

via_registry *rr_open(void)
{
	return rr_open_path(root(), NULL);
}

void rr_close(via_registry *r)
{
	via_rc rc = via_registry_close(r);

	cr_assert_eq(rc, VIA_OK, "%s: %s", via_rc_name(rc), via_error());
}

/* -- what it says ------------------------------------------------------------------------------ */

struct search {
	const char *name;
	rr_file out;
	uint32_t n;
};

static int copy_info(void *arg, const via_file_info *info)
{
	struct search *s = arg;
	const char *base = strrchr(info->path, OS_DIR_SEP);
	size_t len;

	s->n++;
	if (s->name == NULL)
		return 0;
	base = base == NULL ? info->path : base + 1;
	len = strlen(s->name);
	if (strncmp(base, s->name, len) != 0 ||
	    (base[len] != '\0' && strcmp(base + len, OS_MODULE_SUFFIX) != 0))
		return 0;
	s->out.found = 1;
	s->out.state = info->state;
	s->out.generation = info->generation;
	s->out.n_pins = info->n_pins;
	s->out.n_provided = info->n_provided;
	snprintf(s->out.id, sizeof s->out.id, "%s", info->id);
	snprintf(s->out.version, sizeof s->out.version, "%s", info->version);
	snprintf(s->out.reason, sizeof s->out.reason, "%s", info->reason);
	return 1;
}

rr_file rr_info(via_registry *r, const char *name)
{
	struct search s = {.name = name};

	via_registry_files(r, copy_info, &s);
	return s.out;
}

uint32_t rr_count(via_registry *r)
{
	struct search s = {.name = NULL};

	via_registry_files(r, copy_info, &s);
	return s.n;
}

/* -- services ---------------------------------------------------------------------------------- */

via_ref rr_service(via_registry *r, const char *name)
{
	via_ref ref = {.token = 0};
	via_rc rc = via_registry_acquire(r, VIA_KIND_SERVICE, name, 0, &ref);

	cr_assert_eq(rc, VIA_OK, "%s: %s: %s", name, via_rc_name(rc), via_error());
	return ref;
}

const char *rr_call(const via_ref *ref, const char *word)
{
	static char answer[64];
	const via_service *s = ref->vtable;
	via_call c = {.struct_size = sizeof c,
		      .request = word,
		      .request_len = strlen(word),
		      .response = answer,
		      .response_cap = sizeof answer,
		      .deadline = VIA_FOREVER,
		      .token = 77};
	via_rc rc = s->call(ref->self, NULL, &c);

	cr_assert_eq(rc, VIA_OK);
	cr_assert_lt(c.response_len, sizeof answer);
	answer[c.response_len] = '\0';
	return answer;
}
