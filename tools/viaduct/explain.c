/* tools/viaduct/explain.c - why a transport was chosen, and why a module was not. */
#include "viaduct.h"

#include "../lib/table.h"

#include <stdio.h>
#include <string.h>

void explain_mask(uint32_t mask, buf *out)
{
	uint32_t bit;
	int is_first = 1;

	for (bit = 0; bit < 32; bit++) {
		if ((mask >> bit & 1) == 0)
			continue;
		buf_printf(out, "%s0x%x", is_first ? "" : " ", 1u << bit);
		is_first = 0;
	}
	if (is_first)
		buf_text(out, "none");
}

static void mask_line(const char *what, uint32_t mask, buf *out)
{
	buf_printf(out, "%-20s", what);
	explain_mask(mask, out);
	buf_char(out, '\n');
}

static void candidate_rows(const via_session_info *info, buf *out)
{
	char profile[16];
	uint32_t i;
	table t;

	table_begin(&t, 4);
	table_text(&t, "profile");
	table_text(&t, "transport");
	table_text(&t, "verdict");
	table_text(&t, "reason");
	for (i = 0; i < info->n_candidates; i++) {
		const via_candidate *c = &info->candidates[i];

		(void)snprintf(profile, sizeof profile, "0x%x", c->profile);
		table_text(&t, profile);
		table_text(&t, c->id);
		table_text(&t, info->selected == 0 && c->verdict == VIA_VERDICT_OFFERED
				       ? "offered" /* nothing was chosen: not for another either */
				       : via_verdict_text(c->verdict));
		table_text(&t, c->reason);
	}
	table_end(&t, out);
}

void explain_session(via_session *s, buf *out)
{
	via_session_info info = {.struct_size = sizeof info};

	if (s == NULL) {
		buf_text(out, "handshake: none, no connection was made\n");
		return;
	}
	via_session_get_info(s, &info);
	buf_printf(out, "%-20s%s\n", "handshake:",
		   info.is_up || info.status != VIA_STATUS_OK
			   ? via_wire_status_name((uint16_t)info.status)
			   : "not finished");
	mask_line("profiles offered:", info.offered, out);
	if (info.peer_offered != 0)
		mask_line("profiles of server:", info.peer_offered, out);
	mask_line("profile selected:", info.selected, out);
	if (info.is_up) {
		buf_printf(out, "%-20srequest %u bytes, response %u bytes, packet %u bytes\n",
			   "limits:", info.max_request_payload, info.max_response_payload,
			   info.packet_size);
		if (info.peer.label[0] != '\0') {
			buf_printf(out, "%-20s", "server:");
			text_show(out, info.peer.label, strlen(info.peer.label));
			buf_char(out, '\n');
		}
	}
	if (info.n_candidates != 0)
		candidate_rows(&info, out);
}

/* -- files ----------------------------------------------------------------------------------- */

typedef struct file_search {
	const char *name;
	buf *out;
	uint32_t n_files, n_service, n_codec; /* usable ones that provide it */
} file_search;

static const char *state_name(uint32_t state)
{
	static const char *const names[] = {"?",       "found",    "loaded", "retired",
					    "refused", "shadowed", "gone"};

	return names[state <= VIA_FILE_GONE ? state : 0];
}

static int look_at_file(void *arg, const via_file_info *info)
{
	file_search *f = arg;
	int is_service = 0, is_codec = 0, is_usable;
	uint32_t i;

	f->n_files++;
	is_usable = info->state == VIA_FILE_FOUND || info->state == VIA_FILE_LOADED;
	for (i = 0; i < info->n_provided; i++) {
		const via_provided *p = &info->provided[i];

		if (strcmp(p->name, f->name) != 0 && strcmp(p->id, f->name) != 0)
			continue;
		is_service |= p->kind == VIA_KIND_SERVICE;
		is_codec |= p->kind == VIA_KIND_CODEC;
	}
	f->n_service += is_service && is_usable;
	f->n_codec += is_codec && is_usable;
	if (!is_service && !is_codec && info->state != VIA_FILE_REFUSED)
		return 0;
	buf_text(f->out, "  ");
	text_show(f->out, info->path, strlen(info->path));
	buf_printf(f->out, ": %s", state_name(info->state));
	if (is_service || is_codec)
		buf_printf(f->out, ", provides %s",
			   is_service && is_codec ? "the service and its codec"
			   : is_service           ? "the service"
						  : "its codec");
	if (info->reason[0] != '\0') {
		buf_text(f->out, ": ");
		text_show(f->out, info->reason, strlen(info->reason));
	}
	buf_char(f->out, '\n');
	return 0;
}

typedef struct module_search {
	buf *out;
	uint32_t n_files, n_upgrades;
} module_search;

static int look_at_module(void *arg, const via_file_info *info)
{
	module_search *m = arg;
	uint32_t i;

	m->n_files++;
	if (info->state != VIA_FILE_REFUSED) {
		for (i = 0; i < info->n_provided; i++)
			m->n_upgrades += info->provided[i].kind == VIA_KIND_TRANSPORT &&
					 (info->provided[i].roles & VIA_ROLE_UPGRADE) != 0;
		return 0;
	}
	buf_text(m->out, "module file refused: ");
	text_show(m->out, info->path, strlen(info->path));
	buf_text(m->out, ": ");
	text_show(m->out, info->reason, strlen(info->reason));
	buf_char(m->out, '\n');
	return 0;
}

void explain_modules(via_registry *r, buf *out)
{
	module_search m = {.out = out};

	(void)via_registry_files(r, look_at_module, &m);
	if (m.n_upgrades != 0)
		return;
	buf_printf(out, "no upgrade here: none of %u module files provides one in ", m.n_files);
	text_show(out, via_registry_path(r), strlen(via_registry_path(r)));
	buf_char(out, '\n');
}

/* What a server would meet: a file that can be read may still fail when it is loaded. */
static void try_to_load(via_registry *r, const char *service, buf *out)
{
	via_ref ref = {.struct_size = sizeof ref};
	via_rc rc = via_registry_acquire(r, VIA_KIND_SERVICE, service, 0, &ref);
	const char *detail = via_error();

	if (rc == VIA_OK) {
		buf_text(out, "  loading the service here works\n");
		via_registry_release(r, &ref);
		return;
	}
	buf_text(out, "  loading the service here fails: ");
	if (detail[0] == '\0')
		detail = via_rc_text(rc);
	text_show(out, detail, strlen(detail));
	buf_char(out, '\n');
}

void explain_files(via_registry *r, const char *service, int is_tried, buf *out)
{
	file_search f = {.name = service, .out = out};

	(void)via_registry_scan(
		r); /* as it is now; what cannot be listed shows below as not provided */
	buf_printf(out, "module files for '%s' as seen from here:\n", service);
	(void)via_registry_files(r, look_at_file, &f);
	if (f.n_service == 0)
		buf_text(out, "  no usable file provides the service\n");
	else if (is_tried)
		try_to_load(r, service, out);
	if (f.n_codec == 0)
		buf_text(out, "  no usable file provides a codec of this name\n");
	buf_printf(out, "  %u file%s looked at in ", f.n_files, f.n_files == 1 ? "" : "s");
	text_show(out, via_registry_path(r), strlen(via_registry_path(r)));
	buf_char(out, '\n');
}
