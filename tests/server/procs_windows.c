/* tests/server/procs_windows.c - see procs.h: mappings by their names (docs/wire.md section 12). */
#include "core/session/session.h"
#include "procs.h"
#include <windows.h>

void proc_pin(void)
{
	cr_assert(SetProcessAffinityMask(GetCurrentProcess(), 1) != 0);
	cr_assert_eq(os_usable_cpus(), 1);
}

/* Views of mappings that may be written; the system has some of its own. */
int proc_mappings(void)
{
	MEMORY_BASIC_INFORMATION i;
	uint8_t *at = NULL;
	int n = 0;

	for (; VirtualQuery(at, &i, sizeof i) != 0; at = (uint8_t *)i.BaseAddress + i.RegionSize)
		n += i.Type == MEM_MAPPED && i.Protect == PAGE_READWRITE;
	return n;
}

static uint64_t fnv1a(const char *s)
{
	uint64_t h = UINT64_C(0xCBF29CE484222325);

	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001B3);
	return h;
}

int proc_regions(const rig *r, via_session *s, struct proc_region *out, int max)
{
	via_session_info info = {.struct_size = sizeof info};
	via_endpoint ep = rig_endpoint(r, "svc");
	MEMORY_BASIC_INFORMATION i;
	char text[256];
	HANDLE h;

	via_session_get_info(s, &info);
	if (max < 1 || info.selected == 1)
		return 0;
	snprintf(text, sizeof text, "%s\nsvc\n%llu", r->dir, (unsigned long long)ep.auth_token);
	snprintf(text, sizeof text, "Local\\netipc-%016llx-svc-p%u-s%016llx-mapping",
		 (unsigned long long)fnv1a(text), info.selected,
		 (unsigned long long)info.session_id);
	h = OpenFileMappingA(FILE_MAP_ALL_ACCESS, FALSE, text);
	if (h == NULL)
		return 0;
	out->at = MapViewOfFile(h, FILE_MAP_ALL_ACCESS, 0, 0, 0);
	CloseHandle(h);
	if (out->at == NULL || VirtualQuery(out->at, &i, sizeof i) == 0)
		return 0;
	out->len = i.RegionSize;
	return 1;
}

void proc_regions_done(const struct proc_region *regions, int n)
{
	while (n-- > 0)
		(void)UnmapViewOfFile(regions[n].at);
}

/* Nobody may take the pages of a mapping away here. */
void proc_punch(const struct proc_region *g, int deep)
{
	(void)VirtualAlloc(g->at, g->len, MEM_RESET, deep ? PAGE_READWRITE : PAGE_NOACCESS);
}

int proc_session_files(const rig *r)
{
	return GetFileAttributesA(r->dir) != INVALID_FILE_ATTRIBUTES;
}
