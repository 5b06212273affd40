/* tests/server/test_modules.c - services out of module files: loaded by the first call, missing, refused, back. */
#include "rig.h"
#include "rig_os.h"

TestSuite(modules, .timeout = 60);

#define SUFFIX PLATFORM_SUFFIX

static rig r;

static void add(const char *service)
{
	via_endpoint ep = rig_endpoint(&r, service);

	cr_assert_eq(via_server_add(r.srv, &ep, NULL), VIA_OK, "%s", via_error());
}

struct wanted {
	const char *file;
	uint32_t state, pins;
};

static int look(void *arg, const via_file_info *i)
{
	struct wanted *w = arg;
	size_t n = strlen(i->path), m = strlen(w->file);

	if (n < m || strcmp(i->path + n - m, w->file) != 0)
		return 0;
	w->state = i->state;
	w->pins = i->n_pins;
	return 1;
}

static uint32_t state_of(const char *file)
{
	struct wanted w = {.file = file};

	via_registry_files(r.reg, look, &w);
	return w.state;
}

STACK_TEST(modules, the_first_call_loads_the_service)
{
	via_session *s;

	rig_open(&r, stack);
	add("increment");
	rig_start(&r);
	s = rig_connect(&r, "increment", NULL);
	cr_expect_eq(state_of("service-increment" SUFFIX), VIA_FILE_FOUND,
		     "loaded before it was needed");
	cr_expect_eq(state_of("codec-increment" SUFFIX), VIA_FILE_FOUND);
	cr_assert_eq(rig_send_number(s, 1, 1), VIA_OK);
	rig_expect_number(s, 1, 1);
	cr_expect_eq(state_of("service-increment" SUFFIX), VIA_FILE_LOADED);
	cr_expect_eq(state_of("codec-increment" SUFFIX), VIA_FILE_LOADED);
	cr_expect_eq(state_of("service-string-reverse" SUFFIX), VIA_FILE_FOUND);
	via_session_close(s);
	via_server_close(r.srv);
	r.srv = NULL;
	cr_expect_eq(via_registry_unload(r.reg, "org.viaduct.service.increment",
					 via_deadline(RIG_SOON)),
		     VIA_OK, "%s", via_error());
	rig_close(&r);
}

STACK_TEST(modules, a_service_in_use_cannot_be_unloaded)
{
	rig_open(&r, stack);
	add("increment");
	rig_start(&r);
	rig_good(&r, "increment");
	cr_expect_eq(via_registry_unload(r.reg, "org.viaduct.service.increment", VIA_POLL),
		     VIA_BUSY);
	rig_good(&r, "increment");
	cr_expect_eq(via_registry_close(r.reg), VIA_BUSY);
	rig_close(&r);
}

STACK_TEST(modules, services_of_several_modules_side_by_side)
{
	uint8_t text[64], back[64];
	via_session *s;
	via_message m;
	uint32_t n;

	rig_open(&r, stack);
	add("increment");
	add("string-reverse");
	rig_start(&r);
	rig_good(&r, "increment");
	s = rig_connect(&r, "string-reverse", NULL);
	n = rig_text(text, 26);
	cr_assert_eq(rig_send(s, &(via_message){.code = TEXT,
						.item_count = 1,
						.id = 1,
						.payload = text,
						.payload_len = n}),
		     VIA_OK);
	cr_assert_eq(rig_recv(s, &m, back, sizeof back), VIA_OK);
	cr_assert_eq(m.payload_len, n);
	cr_expect_eq(back[8], 'z');
	cr_expect_eq(back[33], 'a');
	cr_assert_eq(rig_send_number(s, 2, 2), VIA_OK);
	rig_expect_status(s, 2, NUMBER, VIA_STATUS_UNSUPPORTED, 0);
	via_session_close(s);
	rig_close(&r);
}

#if defined(__linux__)
Test(modules, the_service_of_control_groups_answers)
{
	static const uint8_t ask[4] = {1, 0, 0, 0};
	static uint8_t back[1 << 20];
	via_session_config c = {.struct_size = sizeof c, .max_response_payload = 1 << 20};
	via_endpoint ep;
	via_session *s;
	via_message m;

	rig_open(&r, "uds");
	ep = rig_endpoint(&r, "cgroups-snapshot");
	cr_assert_eq(via_server_add(r.srv, &ep, &c), VIA_OK, "%s", via_error());
	rig_start(&r);
	s = rig_connect(&r, "cgroups-snapshot", NULL);
	cr_assert_eq(rig_send(s, &(via_message){.code = 2,
						.item_count = 1,
						.id = 1,
						.payload = ask,
						.payload_len = 4}),
		     VIA_OK);
	cr_assert_eq(rig_recv(s, &m, back, sizeof back), VIA_OK);
	/* a machine without control groups fails the call, which is an answer too */
	cr_expect(m.status == VIA_STATUS_OK || m.status == VIA_STATUS_INTERNAL_ERROR,
		  "status %u: %s", m.status, r.log);
	via_session_close(s);
	rig_close(&r);
}
#else
Test(modules, a_service_of_another_system_is_not_found)
{
	via_endpoint ep;

	rig_open(&r, PLATFORM_BASELINE);
	ep = rig_endpoint(&r, "cgroups-snapshot");
	cr_expect_eq(via_server_add(r.srv, &ep, NULL), VIA_NOTFOUND);
	cr_expect_not_null(strstr(via_error(), "no module provides service \"cgroups-snapshot\""),
			   "%s", via_error());
	rig_close(&r);
}
#endif

/* -- files that come and go -------------------------------------------------------------------- */

static char own[256];

/* The first bytes of a module, at most max of them. */
static void put_some(const char *file, long max)
{
	char from[320], to[320];
	FILE *in, *out;
	int c;

	snprintf(from, sizeof from, "%s/%s", VIA_TEST_MODULE_DIR, file);
	snprintf(to, sizeof to, "%s/%s", own, file);
	in = fopen(from, "rb");
	out = fopen(to, "wb");
	cr_assert(in != NULL && out != NULL, "%s", file);
	while (max-- > 0 && (c = getc(in)) != EOF)
		putc(c, out);
	fclose(in);
	fclose(out);
	rig_let_anybody_write(to, 0);
}

static void put(const char *file)
{
	put_some(file, INT32_MAX);
}

static void take_away(const char *file)
{
	char path[320];

	snprintf(path, sizeof path, "%s/%s", own, file);
	cr_assert_eq(remove(path), 0, "%s", path);
}

static void open_own(void)
{
	rig_prepare(&r, PLATFORM_BASELINE);
	rig_make_directory(own, sizeof own);
	snprintf(r.modules, sizeof r.modules, "%s", own);
	put(PLATFORM_BASELINE SUFFIX);
	put("codec-increment" SUFFIX);
	put("service-increment" SUFFIX);
	cr_assert_eq(rig_open_registry(&r), VIA_OK);
	cr_assert_eq(rig_open_server(&r), VIA_OK);
	add("increment");
	rig_start(&r);
}

static void close_own(void)
{
	rig_close(&r);
	take_away(PLATFORM_BASELINE SUFFIX);
	take_away("codec-increment" SUFFIX);
	take_away("service-increment" SUFFIX);
	rig_remove_directory(own);
}

static void expect_internal_error(void)
{
	via_session *s = rig_connect(&r, "increment", NULL);

	cr_assert_eq(rig_send_number(s, 1, 1), VIA_OK);
	rig_expect_status(s, 1, NUMBER, VIA_STATUS_INTERNAL_ERROR, 1);
	via_session_close(s);
}

/* The reason is in the log, and once the file is back the next call is answered. */
static void check_missing(const char *file)
{
	open_own();
	take_away(file);
	expect_internal_error();
	cr_expect(rig_log_has(&r, "service increment cannot be loaded: "), "%s", r.log);
	cr_expect(rig_log_has(&r, file), "no word of %s: %s", file, r.log);
	expect_internal_error();
	put(file);
	via_registry_scan(r.reg);
	rig_good(&r, "increment");
	close_own();
}

Test(modules, a_service_that_is_missing)
{
	check_missing("service-increment" SUFFIX);
}

Test(modules, a_codec_that_is_missing)
{
	check_missing("codec-increment" SUFFIX);
}

Test(modules, a_service_that_is_refused)
{
	char path[320];

	open_own();
	snprintf(path, sizeof path, "%s/service-increment" SUFFIX, own);
	rig_let_anybody_write(path, 1);
	expect_internal_error();
	cr_expect(rig_log_has(&r, "service increment cannot be loaded: "), "%s", r.log);
	cr_expect(rig_log_has(&r, "writ"), "%s", r.log);
	rig_let_anybody_write(path, 0);
	via_registry_scan(r.reg);
	rig_good(&r, "increment");
	close_own();
}

Test(modules, a_service_that_is_no_module_any_more)
{
	open_own();
	put_some("service-increment" SUFFIX, 1000);
	expect_internal_error();
	cr_expect(rig_log_has(&r, "service increment cannot be loaded: "), "%s", r.log);
	put("service-increment" SUFFIX);
	via_registry_scan(r.reg);
	rig_good(&r, "increment");
	close_own();
}
