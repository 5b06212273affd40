/* tools/viaduct/check_child.c - `viaduct check`: what the groups in the child process share. */
#include "check.h"

#include <stdio.h>
#include <string.h>

/* What init() leaves behind when it fails is freed by the registry, which says so only here. */
static void take_log(void *arg, int32_t level, const char *origin, const char *text)
{
	check_child *c = arg;

	if (level >= VIA_LOG_ERROR && strstr(text, "left behind") != NULL)
		(void)snprintf(c->left, sizeof c->left, "%s", text);
	if (c->is_verbose)
		log_to_stderr(NULL, level, origin, text);
}

const char *check_error(via_rc rc)
{
	const char *why = via_error();

	return why[0] != '\0' ? why : via_rc_text(rc);
}

int check_open(check_child *c, const via_hooks *hooks, uint32_t load_mode, via_registry **out)
{
	via_registry_options options = VIA_REGISTRY_OPTIONS_INIT;
	via_rc rc;

	options.module_path = c->module_path;
	options.hooks = hooks;
	options.load_mode = load_mode;
	options.log = take_log;
	options.log_arg = c;
	options.log_level = c->is_verbose ? VIA_LOG_DEBUG : VIA_LOG_ERROR;
	rc = via_registry_open(&options, out);
	if (rc == VIA_OK)
		return 1;
	check_tell(c->report, CHECK_FAILED, "expected a registry, found: %s", check_error(rc));
	return 0;
}

int check_close(check_child *c, via_registry *r)
{
	via_rc rc = via_registry_close(r);

	if (rc == VIA_OK)
		return 1;
	if (c->report->name[0] == '\0') /* all checks before have their verdict */
		check_begin(c->report, "close");
	check_tell(c->report, CHECK_FAILED, "expected the registry to close, found: %s",
		   check_error(rc));
	return 0;
}
