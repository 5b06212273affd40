/* tests/os/test_trust_windows.c - who may have written the code that is about to be run. */
#include "core/os/windows/win.h"
#include "rig.h"
#include <aclapi.h>
#include <criterion/parameterized.h>
#include <sddl.h>
#include <stdio.h>

TestSuite(os_trust, .init = rig_open, .fini = rig_close, .timeout = 30);

static void tree(void)
{
	rig_mkdir(rig_path("a"));
	rig_mkdir(rig_path("a/b"));
	rig_write(rig_path("a/b/x.dll"), "code", 4);
}

static via_rc trust(const char *path)
{
	os_file *f;
	via_rc rc;

	rc = os_file_open(&rig_env, path, &f);
	if (rc == VIA_OK) {
		rc = os_file_trusted(f, path);
		os_file_close(f);
	}
	return rc;
}

/* Gives a file or directory an access list of its own. */
static void access_list(const char *name, const wchar_t *sddl)
{
	PSECURITY_DESCRIPTOR sd;
	BOOL present, defaulted;
	wchar_t path[600];
	DWORD err;
	PACL list;

	cr_assert(MultiByteToWideChar(CP_UTF8, 0, rig_path(name), -1, path, 600) > 0);
	cr_assert(ConvertStringSecurityDescriptorToSecurityDescriptorW(sddl, SDDL_REVISION_1, &sd,
								       NULL));
	cr_assert(GetSecurityDescriptorDacl(sd, &present, &list, &defaulted) && present);
	err = SetNamedSecurityInfoW(path, SE_FILE_OBJECT,
				    DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION,
				    NULL, NULL, list, NULL);
	cr_assert_eq(err, 0u, "%s: error %lu", name, err);
	LocalFree(sd);
}

Test(os_trust, ordinary_tree)
{
	tree();
	cr_assert_eq(trust(rig_path("a/b/x.dll")), VIA_OK, "%s", via_error());
}

Test(os_trust, writable_by_everyone)
{
	tree();
	access_list("a/b/x.dll", L"D:P(A;;FA;;;WD)");
	cr_assert_eq(trust(rig_path("a/b/x.dll")), VIA_PERM, "%s", via_error());
	cr_assert(rig_error_has("x.dll: S-1-1-0 has access"), "%s", via_error());
	access_list("a/b/x.dll", L"D:P(A;;FA;;;SY)(A;;FRFX;;;WD)");
	cr_assert_eq(trust(rig_path("a/b/x.dll")), VIA_OK, "reading is fine: %s", via_error());
}

Test(os_trust, directory_writable_by_everyone)
{
	tree();
	access_list("a/b", L"D:P(A;;FA;;;WD)");
	cr_assert_eq(trust(rig_path("a/b/x.dll")), VIA_PERM, "%s", via_error());
	cr_assert(rig_error_has("a\\b: S-1-1-0 has access"), "%s", via_error());
}

Test(os_trust, directory_above_that_everyone_may_empty)
{
	tree();
	access_list("a", L"D:P(A;;FA;;;WD)");
	cr_assert_eq(trust(rig_path("a/b/x.dll")), VIA_PERM, "%s", via_error());
	cr_assert(rig_error_has("\\a: S-1-1-0 has access"), "%s", via_error());
	access_list("a", L"D:P(A;;FA;;;SY)(A;;FRFX;;;WD)(A;OICIIO;FA;;;WD)");
	cr_assert_eq(trust(rig_path("a/b/x.dll")), VIA_OK, "%s", via_error());
}

/* -- access lists, as they are on a real system ---------------------------------------------------
 * wine keeps of a list what fits into a mode. "me" stands for this user. */

struct list {
	char sddl[160];
	char says[48]; /* why it is refused; "" when it is fine */
	int above;     /* 0: a directory above may have what is refused for others */
};

#define ME "S-1-5-21-1-2-3-1000"
#define PROGRAM_FILES \
	"(A;;FA;;;S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464)(A;;0x1301bf;;;SY)" \
	"(A;;0x1301bf;;;BA)"

static struct list lists[] = {
	{"O:" ME "D:(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;" ME ")", "", 1},
	{"O:SYD:(A;;FRFX;;;WD)(A;;0x1200a9;;;BU)", "", 1},
	{"O:BAD:" PROGRAM_FILES "(A;;0x1200a9;;;BU)(A;OICIIO;GA;;;CO)", "", 1},
	{"O:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464D:(A;;FR;;;WD)", "", 1},
	{"O:BUD:(A;;FR;;;WD)", "owned by S-1-5-32-545", 1},
	{"O:S-1-5-21-1-2-3-1001D:(A;;FR;;;WD)", "owned by S-1-5-21-1-2-3-1001", 1},
	{"O:COD:(A;;FR;;;WD)", "owned by S-1-3-0", 1},
	{"O:SY", "no access list", 1},
	{"O:SYD:", "", 1},
	{"O:SYD:(A;;FA;;;WD)", "S-1-1-0 has access", 1},
	{"O:SYD:(A;;0x2;;;WD)", "S-1-1-0 has access 0x2", 0},
	{"O:SYD:(A;;0x4;;;AU)", "S-1-5-11 has access 0x4", 0},
	{"O:SYD:(A;;0x40;;;BU)", "S-1-5-32-545 has access 0x40", 1},
	{"O:SYD:(A;;0x10;;;BU)", "S-1-5-32-545 has access 0x10", 0},
	{"O:SYD:(A;;0x100;;;BU)", "S-1-5-32-545 has access 0x100", 0},
	{"O:SYD:(A;;SD;;;BU)", "S-1-5-32-545 has access 0x10000", 1},
	{"O:SYD:(A;;WD;;;IU)", "S-1-5-4 has access 0x40000", 1},
	{"O:SYD:(A;;WO;;;AN)", "S-1-5-7 has access 0x80000", 1},
	{"O:SYD:(A;;GW;;;BG)", "S-1-5-32-546 has access 0x40000000", 0},
	{"O:SYD:(A;;GA;;;NU)", "S-1-5-2 has access 0x10000000", 1},
	{"O:SYD:(A;;FA;;;S-1-5-21-1-2-3-1001)", "S-1-5-21-1-2-3-1001 has access", 1},
	{"O:SYD:(A;OICIIO;FA;;;WD)(A;CIIO;GA;;;AU)", "", 1},
	{"O:SYD:(A;OICI;FA;;;WD)", "S-1-1-0 has access", 1},
	{"O:SYD:(D;;FA;;;WD)(A;;FA;;;WD)", "S-1-1-0 has access", 1},
	{"O:SYD:(D;;FA;;;WD)", "", 1},
	{"O:SYD:(A;;FA;;;CO)(A;;FA;;;OW)", "", 1},
};

ParameterizedTestParameters(os_trust, access_lists)
{
	return cr_make_param_array(struct list, lists, sizeof lists / sizeof lists[0]);
}

ParameterizedTest(struct list *c, os_trust, access_lists)
{
	PSECURITY_DESCRIPTOR sd = NULL;
	BOOL defaulted, present;
	wchar_t wide[200];
	PSID owner, me;
	win_sid user;
	int above;
	PACL list;
	via_rc rc;

	cr_assert(ConvertStringSidToSidW(L"" ME, &me));
	cr_assert(CopySid(sizeof user, &user, me));
	LocalFree(me);
	cr_assert(win_wide(c->sddl, wide, 200));
	cr_assert(ConvertStringSecurityDescriptorToSecurityDescriptorW(wide, SDDL_REVISION_1, &sd,
								       NULL));
	cr_assert(GetSecurityDescriptorOwner(sd, &owner, &defaulted));
	cr_assert(GetSecurityDescriptorDacl(sd, &present, &list, &defaulted));
	for (above = 0; above < 2; above++) {
		rc = win_check_access(owner, present ? list : NULL, &user, above, "x");
		if (c->says[0] == '\0' || (above && !c->above)) {
			cr_expect_eq(rc, VIA_OK, "%s, above %d: %s", c->sddl, above, via_error());
			continue;
		}
		cr_expect_eq(rc, VIA_PERM, "%s, above %d", c->sddl, above);
		cr_expect(rig_error_has(c->says), "%s: %s", c->sddl, via_error());
	}
	LocalFree(sd);
}

/* Entries with another layout, made for directory services: not read, and not trusted. */
Test(os_trust, entries_of_other_kinds)
{
	PSECURITY_DESCRIPTOR sd = NULL;
	ACCESS_ALLOWED_ACE *ace;
	BOOL defaulted, present;
	PSID owner;
	void *entry;
	win_sid user;
	PACL list;

	cr_assert(win_user(&rig_env, &user));
	cr_assert(ConvertStringSecurityDescriptorToSecurityDescriptorW(L"O:SYD:(A;;FA;;;SY)",
								       SDDL_REVISION_1, &sd, NULL));
	cr_assert(GetSecurityDescriptorOwner(sd, &owner, &defaulted));
	cr_assert(GetSecurityDescriptorDacl(sd, &present, &list, &defaulted));
	cr_assert_eq(win_check_access(owner, list, &user, 0, "x"), VIA_OK);
	cr_assert(GetAce(list, 0, &entry));
	ace = entry;
	ace->Header.AceType = ACCESS_ALLOWED_OBJECT_ACE_TYPE;
	cr_assert_eq(win_check_access(owner, list, &user, 0, "x"), VIA_PERM);
	cr_assert(rig_error_has("an unknown account has access"), "%s", via_error());
	ace->Mask = FILE_GENERIC_READ;
	cr_assert_eq(win_check_access(owner, list, &user, 0, "x"), VIA_OK);
	ace->Header.AceType = ACCESS_DENIED_ACE_TYPE;
	ace->Mask = FILE_ALL_ACCESS;
	cr_assert_eq(win_check_access(owner, list, &user, 0, "x"), VIA_OK);
	LocalFree(sd);
}

/* -- which file ----------------------------------------------------------------------------------
 */

Test(os_trust, another_file_in_its_place)
{
	os_file *f;

	tree();
	cr_assert_eq(os_file_open(&rig_env, rig_path("a/b/x.dll"), &f), VIA_OK);
	cr_assert_eq(rename(rig_path("a/b/x.dll"), rig_path("a/b/old.dll")), 0);
	cr_assert_eq(os_file_trusted(f, rig_path("a/b/x.dll")), VIA_NOTFOUND);
	rig_write(rig_path("a/b/y.dll"), "evil", 4);
	cr_assert_eq(rename(rig_path("a/b/y.dll"), rig_path("a/b/x.dll")), 0);
	cr_assert_eq(os_file_trusted(f, rig_path("a/b/x.dll")), VIA_PERM);
	cr_assert(rig_error_has("put in its place"), "%s", via_error());
	os_file_close(f);
	cr_assert_eq(trust(rig_path("a/b/x.dll")), VIA_OK, "%s", via_error());
}

Test(os_trust, paths_that_name_no_file)
{
	os_file *f;

	tree();
	cr_assert_eq(os_file_open(&rig_env, rig_path("a/b/x.dll"), &f), VIA_OK);
	cr_assert_eq(os_file_trusted(f, "x.dll"), VIA_INVAL);
	cr_assert_eq(os_file_trusted(f, rig_path("a/b/")), VIA_INVAL);
	cr_assert_eq(os_file_trusted(f, rig_path("a/..")), VIA_INVAL);
	cr_assert_eq(os_file_trusted(f, rig_path("nowhere/x.dll")), VIA_NOTFOUND);
	os_file_close(f);
}
