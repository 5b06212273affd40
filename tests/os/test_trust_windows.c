/* tests/os/test_trust_windows.c - who may have written the code that is about to be run. */
#include "rig.h"
#include <aclapi.h>
#include <sddl.h>
#include <stdio.h>
#include <windows.h>

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
