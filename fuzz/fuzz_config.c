/* fuzz/fuzz_config.c - the daemon's configuration over any text, as one file and as a file and a
 * drop-in.
 *
 * It is taken or refused with a reason that has the file and a line; values keep their bounds;
 * all is freed. A text that is taken is taken again as a drop-in over itself, and changes nothing
 * but the count.
 */
#include "tools/lib/buf.c"
#include "tools/lib/ini.c"
#include "tools/lib/text.c"
/* two files that both have a static helper of this name */
#define fail_at config_fail_at
#include "tools/viaductd/config.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The files' part is not under test here. */
int sys_read(const char *path, uint64_t max, buf *out, char *why)
{
	(void)path, (void)max, (void)out, (void)why;
	return 0;
}

int sys_list(const char *dir, const char *suffix, buf *names, char *why)
{
	(void)dir, (void)suffix, (void)names, (void)why;
	return 0;
}

static void require(int truth)
{
	if (!truth)
		abort();
}

static void check(const conf *c)
{
	const conf_service *s;
	const conf_module *m;

	require(strlen(c->run_dir) < INI_VALUE && c->workers <= 64 &&
		c->policy <= VIA_POLICY_FRUGAL);
	require(c->log_level <= VIA_LOG_OFF && c->load <= VIA_LOAD_DIRECT && c->drain_ns != 0);
	require((c->run_dir_mode & 0700) == 0700);
	for (s = c->services; s != NULL; s = s->next)
		require(s->name[0] != '\0' && conf_find_service(c, s->name) == s);
	for (m = c->modules; m != NULL; m = m->next)
		require(m->id[0] != '\0' &&
			(m->lines.len == 0 || m->lines.data[m->lines.len - 1] == '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[CONF_WHY] = "";
	conf c;

	conf_init(&c);
	if (!conf_parse(&c, "f", (const char *)data, size, why)) {
		require(strncmp(why, "f:", 2) == 0 && why[2] >= '1' && why[2] <= '9');
	} else {
		check(&c);
		require(conf_parse(&c, "f", (const char *)data, size, why) && c.n_files == 2);
		check(&c);
	}
	conf_free(&c);
	return 0;
}
