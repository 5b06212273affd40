/* core/os/windows/trust.c - may the code in this file be run?
 *
 * What is checked, of the file through its open handle and of the directory that holds it:
 * - the owner is this user, Administrators, SYSTEM or TrustedInstaller;
 * - there is an access list, and no entry of it lets a group that strangers are in (Everyone, Users,
 *   Authenticated Users, Interactive, Network, Anonymous, Guests) write, add, delete, rename or
 *   change the list or the owner;
 * and that the path names the file that is open. Entries that only get inherited grant nothing here
 * and are skipped; denying entries are not counted in favour.
 *
 * What is not checked: directories further up (their lists let ordinary users add entries on every
 * system, and renaming one that is in use fails), and single accounts other than those above that a
 * list lets write: whoever named them there meant it.
 */
#include "win.h"
#include <aclapi.h>
#include <sddl.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#define WRITES \
	(FILE_WRITE_DATA | FILE_APPEND_DATA | FILE_DELETE_CHILD | FILE_WRITE_EA | \
	 FILE_WRITE_ATTRIBUTES | DELETE | WRITE_DAC | WRITE_OWNER | GENERIC_WRITE | GENERIC_ALL)

/* S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464: NT SERVICE\TrustedInstaller */
static const struct {
	BYTE revision, n_sub;
	SID_IDENTIFIER_AUTHORITY authority;
	DWORD sub[6];
} trusted_installer = {SID_REVISION,
		       6,
		       {SECURITY_NT_AUTHORITY},
		       {80, 956008885u, 3418522649u, 1831038044u, 1853292631u, 2271478464u}};

static const WELL_KNOWN_SID_TYPE strangers[] =
	{WinWorldSid,   WinBuiltinUsersSid, WinAuthenticatedUserSid, WinInteractiveSid,
	 WinNetworkSid, WinAnonymousSid,    WinBuiltinGuestsSid};

/* -- who ------------------------------------------------------------------------------------------
 */

static void sid_text(PSID sid, char *buf, uint32_t cap)
{
	wchar_t *text;

	(void)snprintf(buf, cap, "an unknown account");
	if (sid == NULL || !IsValidSid(sid) || !ConvertSidToStringSidW(sid, &text))
		return;
	(void)win_utf8(text, buf, cap);
	LocalFree(text);
}

int win_user_sid(const core_env *e, wchar_t *buf, uint32_t cap)
{
	union {
		TOKEN_USER user;
		BYTE room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
	} u;
	HANDLE token = NULL;
	wchar_t *text;
	DWORD n, err;
	int ok;

	if (!win_may(e, "OpenProcessToken") ||
	    !OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
		return 0;
	ok = GetTokenInformation(token, TokenUser, &u, sizeof u, &n) != 0;
	err = GetLastError();
	CloseHandle(token);
	if (!ok) {
		SetLastError(err);
		return 0;
	}
	if (!ConvertSidToStringSidW(u.user.User.Sid, &text))
		return 0;
	ok = wcslen(text) < cap;
	if (ok)
		wcscpy(buf, text);
	LocalFree(text);
	return ok;
}

int win_is_user(const core_env *e, PSID sid, int *is)
{
	wchar_t user[WIN_SID_MAX], *text;

	if (!win_user_sid(e, user, WIN_SID_MAX) || !ConvertSidToStringSidW(sid, &text))
		return 0;
	*is = wcscmp(user, text) == 0;
	LocalFree(text);
	return 1;
}

static via_rc check_owner(const core_env *e, PSID owner, const char *path)
{
	char who[192];
	int is = 0;

	if (owner != NULL && (IsWellKnownSid(owner, WinLocalSystemSid) ||
			      IsWellKnownSid(owner, WinBuiltinAdministratorsSid) ||
			      EqualSid(owner, (PSID)(uintptr_t)&trusted_installer)))
		return VIA_OK;
	if (owner != NULL && !win_is_user(e, owner, &is))
		return core_fail_os(VIA_IO, GetLastError(),
				    "%s: comparing its owner with this user", path);
	if (is)
		return VIA_OK;
	sid_text(owner, who, sizeof who);
	return core_fail(
		VIA_PERM,
		"%s: owned by %s, expected this user, Administrators, SYSTEM or TrustedInstaller",
		path, who);
}

/* -- what they may do ----------------------------------------------------------------------------
 */

static int is_stranger(PSID sid)
{
	size_t i;

	for (i = 0; i < sizeof strangers / sizeof strangers[0]; i++)
		if (IsWellKnownSid(sid, strangers[i]))
			return 1;
	return 0;
}

static via_rc check_list(PACL list, const char *path)
{
	ACCESS_ALLOWED_ACE *ace;
	char who[192];
	void *entry;
	DWORD i;

	if (list == NULL)
		return core_fail(VIA_PERM,
				 "%s: no access list, so that everybody may write, expected one",
				 path);
	for (i = 0; i < list->AceCount; i++) {
		if (!GetAce(list, i, &entry))
			return core_fail_os(VIA_IO, GetLastError(), "%s: reading its access list",
					    path);
		ace = entry;
		if (ace->Header.AceType != ACCESS_ALLOWED_ACE_TYPE &&
		    ace->Header.AceType != ACCESS_ALLOWED_CALLBACK_ACE_TYPE)
			continue;
		if ((ace->Header.AceFlags & INHERIT_ONLY_ACE) != 0 || (ace->Mask & WRITES) == 0 ||
		    !is_stranger(&ace->SidStart))
			continue;
		sid_text(&ace->SidStart, who, sizeof who);
		return core_fail(VIA_PERM,
				 "%s: %s has access 0x%lx and may write, expected at most 0x%lx",
				 path, who, ace->Mask, ace->Mask & ~(DWORD)WRITES);
	}
	return VIA_OK;
}

static via_rc check_handle(const core_env *e, HANDLE h, const char *path)
{
	const SECURITY_INFORMATION what = OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
	PSECURITY_DESCRIPTOR sd = NULL;
	PSID owner = NULL;
	PACL list = NULL;
	DWORD err;
	via_rc rc;

	err = (DWORD)env_deny(e, "GetSecurityInfo");
	if (err == 0)
		err = GetSecurityInfo(h, SE_FILE_OBJECT, what, &owner, NULL, &list, NULL, &sd);
	if (err != 0)
		return core_fail_os(win_rc(err), err, "%s: reading who owns and may change it",
				    path);
	rc = check_owner(e, owner, path);
	if (rc == VIA_OK)
		rc = check_list(list, path);
	LocalFree(sd);
	return rc;
}

/* -- the gate ------------------------------------------------------------------------------------
 */

/* path without its last component, which must be a name. */
static via_rc parent(const char *path, char *buf, uint32_t cap)
{
	const char *p, *last = NULL;

	for (p = path; *p != '\0'; p++)
		if (*p == '\\' || *p == '/')
			last = p;
	if (!os_path_is_absolute(path) || last == NULL || last[1] == '\0' ||
	    strcmp(last + 1, ".") == 0 || strcmp(last + 1, "..") == 0)
		return core_fail(VIA_INVAL, "%s: expected the absolute path of a file", path);
	if ((size_t)(last - path) + 2 > cap)
		return core_fail(VIA_TOOBIG, "path of %zu bytes, expected less than %u",
				 strlen(path), cap);
	(void)snprintf(buf, cap, "%.*s", (int)(last - path) + (last[-1] == ':'),
		       path); /* "C:\" keeps its end */
	return VIA_OK;
}

static via_rc check_dir(const core_env *e, const char *dir)
{
	const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
	wchar_t wide[WIN_PATH_MAX];
	HANDLE h;
	via_rc rc;

	h = win_path(dir, wide) && win_may(e, "CreateFileW")
		    ? CreateFileW(wide, READ_CONTROL | FILE_READ_ATTRIBUTES, share, NULL,
				  OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL)
		    : INVALID_HANDLE_VALUE;
	if (h == INVALID_HANDLE_VALUE)
		return core_fail_os(win_rc(GetLastError()), GetLastError(),
				    "%s: opening the directory", dir);
	rc = check_handle(e, h, dir);
	CloseHandle(h);
	return rc;
}

via_rc os_file_trusted(os_file *f, const char *path)
{
	char dir[WIN_PATH_MAX];
	os_file_id now;
	via_rc rc;

	rc = parent(path, dir, sizeof dir);
	if (rc == VIA_OK)
		rc = check_dir(f->e, dir);
	if (rc == VIA_OK)
		rc = os_path_id(path, &now);
	if (rc != VIA_OK)
		return rc;
	if (now.device != f->id.device || now.inode != f->id.inode)
		return core_fail(
			VIA_PERM,
			"%s: file %llu was put in its place, expected the opened file, %llu", path,
			(unsigned long long)now.inode, (unsigned long long)f->id.inode);
	return check_handle(f->e, f->h, path);
}
