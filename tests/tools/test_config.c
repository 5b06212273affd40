/* tests/tools/test_config.c - the daemon's configuration: every key, every complaint. */
#include "tools/lib/sys_process.h"
#include "tools/viaductd/config.h"

#include <criterion/criterion.h>

#include <string.h>

TestSuite(config, .timeout = 20);

static conf c;
static char why[CONF_WHY];

static int parse(const char *text)
{
	why[0] = '\0';
	return conf_parse(&c, "d.conf", text, strlen(text), why);
}

static void reset(void)
{
	conf_free(&c);
	conf_init(&c);
}

Test(config, defaults_work, .init = reset, .fini = reset)
{
	cr_assert(parse(""), "%s", why);
	cr_expect_eq(c.run_dir_mode, 0700u);
	cr_expect_eq(c.log_level, (uint32_t)VIA_LOG_INFO);
	cr_expect_eq(c.drain_ns, 5000000000u);
	cr_expect_eq(c.serve, (uint32_t)CONF_SERVE_ALL);
	cr_expect_str_empty(c.run_dir);
	cr_expect_null(c.services);
	cr_expect_null(c.modules);
}

Test(config, every_key, .init = reset, .fini = reset)
{
	const conf_service *s;

	cr_assert(
		parse("[daemon]\nrun_dir = /run/x\nrun_dir_mode = 0755\ntoken = 0x10\nworkers = 3\npool = 4\n"
		      "max_sessions = 99\nmodule_path = /a:/b\npolicy = frugal\nlog_level = debug\n"
		      "load = direct\ndrain_timeout = 2s\nserve = listed\n"
		      "[service increment]\nenabled = no\ntoken = 7\nmax_request = 2K\nmax_response = 1M\n"
		      "transport = loop\nprofiles = 0x1,loop\n"
		      "[module org.example.x]\nroot = /y\nother = \" z\"\n"),
		"%s", why);
	cr_expect_str_eq(c.run_dir, "/run/x");
	cr_expect_eq(c.run_dir_mode, 0755u);
	cr_expect_eq(c.token, 16u);
	cr_expect_eq(c.workers, 3u);
	cr_expect_eq(c.pool, 4u);
	cr_expect_eq(c.max_sessions, 99u);
	cr_expect_str_eq(c.module_path, "/a:/b");
	cr_expect_eq(c.policy, (uint32_t)VIA_POLICY_FRUGAL);
	cr_expect_eq(c.log_level, (uint32_t)VIA_LOG_DEBUG);
	cr_expect_eq(c.load, (uint32_t)VIA_LOAD_DIRECT);
	cr_expect_eq(c.drain_ns, 2000000000u);
	cr_expect_eq(c.serve, (uint32_t)CONF_SERVE_LISTED);
	s = conf_find_service(&c, "increment");
	cr_assert_not_null(s);
	cr_expect_eq(s->enabled, 0);
	cr_expect(s->has_token);
	cr_expect_eq(s->token, 7u);
	cr_expect_eq(s->max_request, 2048u);
	cr_expect_eq(s->max_response, 1048576u);
	cr_expect_str_eq(s->transport, "loop");
	cr_expect_str_eq(s->profiles, "0x1,loop");
	cr_assert_not_null(c.modules);
	cr_expect_str_eq(c.modules->id, "org.example.x");
	cr_expect_str_eq(buf_string(&c.modules->lines), "root=/y\nother= z\n");
}

Test(config, a_later_file_replaces, .init = reset, .fini = reset)
{
	cr_assert(parse("[daemon]\nworkers = 1\npool = 2\n[module m]\nab = 1\na = 2\nb = 3\n"
			"[service s]\ntoken = 1\n"),
		  "%s", why);
	cr_assert(parse("[daemon]\nworkers = 5\n[module m]\na = 9\n[service s]\nenabled = no\n"),
		  "%s", why);
	cr_expect_eq(c.workers, 5u);
	cr_expect_eq(c.pool, 2u);
	cr_expect_str_eq(buf_string(&c.modules->lines), "ab=1\nb=3\na=9\n");
	cr_expect_eq(conf_find_service(&c, "s")->token, 1u);
	cr_expect_eq(conf_find_service(&c, "s")->enabled, 0);
	cr_expect_null(c.services->next);
}

Test(config, complaints_have_file_line_and_nearest_name, .init = reset, .fini = reset)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"[daemon]\n\nworker = 4\n",
		 "d.conf:3: unknown key \"worker\" in [daemon]; did you mean \"workers\"?"},
		{"[deamon]\n", "d.conf:1: unknown section [deamon]; did you mean [daemon]?"},
		{"[zebra]\n",
		 "d.conf:1: unknown section [zebra]: expected [daemon], [service NAME] or [module ID]"},
		{"[daemon x]\n", "d.conf:1: [daemon] has no name behind it"},
		{"[service]\n", "d.conf:1: expected a service's name: [service NAME]"},
		{"[module]\n", "d.conf:1: expected a module's id: [module ID]"},
		{"[service ..]\n", "d.conf:1: [service ..]: "},
		{"[service x]\nenable = 1\n",
		 "d.conf:2: unknown key \"enable\" in [service]; did you mean \"enabled\"?"},
		{"[daemon]\nworkers = 1\nworkers = 2\n",
		 "d.conf:3: key workers again; it stands in line 2 already"},
		{"[daemon]\n[service x]\n[daemon]\n",
		 "d.conf:3: section [daemon] again; it stands in line 1 already"},
		{"[module m]\na = 1\na = 2\n",
		 "d.conf:3: key a again; it stands in line 2 already"},
		{"[daemon]\nworkers = 0\n",
		 "d.conf:2: workers: expected a number of 1..64, found \"0\""},
		{"[daemon]\nworkers = four\n",
		 "d.conf:2: workers: expected a number of 1..64, found \"four\""},
		{"[daemon]\nworkers =\n",
		 "d.conf:2: workers: expected a number of 1..64, found \"\""},
		{"[daemon]\npolicy = frugall\n",
		 "expected one of balanced latency frugal, found \"frugall\"; did you "
		 "mean \"frugal\"?"},
		{"[daemon]\nload = mmap\n",
		 "d.conf:2: load: expected one of copy direct, found \"mmap\""},
		{"[daemon]\ndrain_timeout = 5\n",
		 "expected a time like 500ms, 5s or 1m, found \"5\""},
		{"[daemon]\ntoken = -1\n", "expected a number of 64 bits"},
		{"[daemon]\nrun_dir_mode = 755\n", "expected an octal mode"},
		{"[daemon]\nrun_dir_mode = 0777\n", "others cannot write"},
		{"[daemon]\nrun_dir_mode = 0077\n", "lets the owner in"},
		{"[daemon]\nmodule_path =\n",
		 "d.conf:2: module_path: expected something, found \"\""},
		{"[service x]\nenabled = maybe\n",
		 "d.conf:2: enabled: expected yes or no, found \"maybe\""},
		{"[service x]\nmax_request = 2G\n",
		 "expected a number of 1..1073741824, maybe with K or M"},
		{"workers = 1\n", "d.conf:1:1: \"workers\" stands before the first [section]"},
		{"[daemon]\nworkers 1\n", "d.conf:2:9: expected '=' behind \"workers\""},
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		reset();
		cr_expect_not(parse(rows[i].text), "taken: %s", rows[i].text);
		cr_expect_not_null(strstr(why, rows[i].says), "%s\nsays: %s\nnot:  %s",
				   rows[i].text, why, rows[i].says);
	}
}

Test(config, sticky_directories_may_be_open, .init = reset, .fini = reset)
{
	cr_expect(parse("[daemon]\nrun_dir_mode = 01777\n"), "%s", why);
	cr_expect_eq(c.run_dir_mode, 01777u);
}

/* The build says "../etc/viaduct/viaductd.conf", as it does for an installation that may be moved. */
Test(config, an_installation_that_may_be_moved)
{
	char program[SYS_PATH], path[CONF_PATH], reason[SYS_WHY];
	const char *s;
	size_t prefix = 0, at = 0;

	cr_assert(sys_own_program(program, sizeof program, reason), "%s", reason);
	for (s = program; *s != '\0'; s++) {
		if (*s == '/' || *s == '\\') {
			prefix = at; /* all but the last two names */
			at = (size_t)(s - program);
		}
	}
	cr_assert(conf_default_file(path, why), "%s", why);
	cr_assert_gt(strlen(path), prefix);
	cr_expect_eq(memcmp(path, program, prefix), 0, "%s is not above %s", path, program);
#if defined(_WIN32)
	cr_expect_str_eq(path + prefix, "\\etc\\viaduct\\viaductd.conf");
#else
	cr_expect_str_eq(path + prefix, "/etc/viaduct/viaductd.conf");
#endif
}

/* The name of FILE.d and of what is in it is made of it: a cut one would be another directory's. */
Test(config, a_path_that_leaves_no_room_is_refused, .init = reset, .fini = reset)
{
	char file[SYS_PATH];

	memset(file, 'x', 3701);
	file[3701] = '\0';
	cr_expect_not(conf_load(&c, file, 0, why));
	cr_expect_str_eq(why, "path of the configuration: expected at most 3700 bytes, found 3701");
}
