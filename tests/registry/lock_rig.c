/* tests/registry/lock_rig.c - see lock_rig.h. */
#include "lock_rig.h"

#include <stdio.h>

const char *lr_digest(const char *path)
{
	static char texts[8][SHA256_TEXT];
	static unsigned int turn;
	unsigned char buf[4096], sum[SHA256_BYTES];
	FILE *f = fopen(path, "rb");
	sha256 s;
	size_t n;

	cr_assert_not_null(f, "%s", path);
	sha256_begin(&s);
	while ((n = fread(buf, 1, sizeof buf, f)) > 0)
		sha256_add(&s, buf, n);
	fclose(f);
	sha256_end(&s, sum);
	sha256_text(sum, texts[++turn % 8]);
	return texts[turn % 8];
}

void lr_write(const char *name, const char *text)
{
	rig_write(rig_path(name), text, strlen(text));
}

void lr_list(const char *name, const char *module)
{
	char text[256];

	snprintf(text, sizeof text, "%s  %s\n", lr_digest(rig_path(module)), module);
	lr_write(name, text);
}

via_registry *lr_open_under(uint32_t module_policy, const char *path, const core_builtin *builtins)
{
	via_registry_options o;
	via_registry *r = NULL;
	via_rc rc;

	rr_options(&o);
	o.module_path = path;
	o.module_policy = module_policy;
	rc = reg_open(&o, builtins, &r);
	cr_assert_eq(rc, VIA_OK, "%s: %s", via_rc_name(rc), via_error());
	return r;
}

via_registry *lr_open(void)
{
	return lr_open_under(VIA_MODULES_LOCKED, rig_path(""), NULL);
}

via_rc lr_load(via_registry *r)
{
	via_ref ref = {.token = 0};
	via_rc rc = via_registry_acquire(r, VIA_KIND_SERVICE, "unit", 0, &ref);

	via_registry_release(r, &ref);
	return rc;
}

void lr_version(via_registry *r, const char *version)
{
	via_ref ref = rr_service(r, "unit");

	cr_expect_str_eq(rr_call(&ref, "version"), version);
	via_registry_release(r, &ref);
}

void lr_refused(const char *why)
{
	via_registry *r = lr_open();
	rr_file f = rr_info(r, "a");

	cr_expect_eq(f.state, VIA_FILE_REFUSED, "%s: state %u", why, f.state);
	cr_expect(strstr(f.reason, why) != NULL, "expected \"%s\" in: %s", why, f.reason);
	cr_expect_str_eq(f.id, "org.test.unit", "who it claims to be is known all the same");
	rr_refused(lr_load(r), VIA_NOTFOUND, A ": locked: ");
	cr_expect(rig_error_has(why), "expected \"%s\" in: %s", why, via_error());
	rr_close(r);
}

void lr_loaded(void)
{
	via_registry *r = lr_open();

	lr_version(r, "1");
	cr_assert_eq(via_registry_verify(r), VIA_OK, "%s", via_error());
	cr_expect_eq(rr_info(r, "a").state, VIA_FILE_LOADED);
	rr_close(r);
}
