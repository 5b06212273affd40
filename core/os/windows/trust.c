/* core/os/windows/trust.c - may the code in this file be run?
 *
 * Others are all accounts and groups but this user, Administrators, SYSTEM and TrustedInstaller. Then:
 * - the file, the directory that holds it and every directory above that have an owner who is none of the
 *   others;
 * - the others may not write or replace the file, nor add, replace or remove anything beside it;
 * - of the directories above they may not rename, delete or change an entry that leads here, nor the
 *   directory's list or owner. Adding entries is fine, which ordinary users may do on every system.
 * The directories are those of the canonical path of the open file, in which there are no links; from
 * the root on, since nobody can replace what a checked directory holds. In the end the path must still name
 * the open file.
 *
 * Only entries that grant count, and of these the ones that are in force for the object itself, not
 * those that are there to be inherited. An entry that denies is not counted in favour. */
#include "win.h"
#include <aclapi.h>
#include <sddl.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#define REPLACES (FILE_DELETE_CHILD | DELETE | WRITE_DAC | WRITE_OWNER | GENERIC_ALL)
#define WRITES \
	(REPLACES | FILE_WRITE_DATA | FILE_APPEND_DATA | FILE_WRITE_EA | FILE_WRITE_ATTRIBUTES | \
	 GENERIC_WRITE)

/* S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464: NT SERVICE\TrustedInstaller */
static const struct {
	BYTE revision, n_sub;
	SID_IDENTIFIER_AUTHORITY authority;
	DWORD sub[6];
} trusted_installer = {SID_REVISION,
		       6,
		       {SECURITY_NT_AUTHORITY},
		       {80, 956008885u, 3418522649u, 1831038044u, 1853292631u, 2271478464u}};

/* The last two stand for the owner, who is checked, and for nobody. */
static const WELL_KNOWN_SID_TYPE trusted[] = {WinLocalSystemSid, WinBuiltinAdministratorsSid,
					      WinCreatorOwnerRightsSid, WinCreatorOwnerSid};
enum { N_TRUSTED_OWNERS = 2, N_TRUSTED = 4 };

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

int win_user(const core_env *e, win_sid *out)
{
	union {
		TOKEN_USER user;
		BYTE room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
	} u;
	HANDLE token = NULL;
	DWORD n, err;
	int ok;

	if (!win_may(e, "OpenProcessToken") ||
	    !OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
		return 0;
	ok = win_may(e, "GetTokenInformation") &&
	     GetTokenInformation(token, TokenUser, &u, sizeof u, &n) &&
	     CopySid(sizeof *out, out, u.user.User.Sid);
	err = GetLastError();
	CloseHandle(token);
	SetLastError(err);
	return ok;
}

static int is_trusted(PSID sid, const win_sid *user, int n_known)
{
	int i;

	if (sid == NULL || !IsValidSid(sid))
		return 0;
	for (i = 0; i < n_known; i++)
		if (IsWellKnownSid(sid, trusted[i]))
			return 1;
	return EqualSid(sid, (PSID)(uintptr_t)user) ||
	       EqualSid(sid, (PSID)(uintptr_t)&trusted_installer);
}

static via_rc check_owner(PSID owner, const win_sid *user, const char *path)
{
	char who[192];

	if (is_trusted(owner, user, N_TRUSTED_OWNERS))
		return VIA_OK;
	sid_text(owner, who, sizeof who);
	return core_fail(
		VIA_PERM,
		"%s: owned by %s, expected this user, Administrators, SYSTEM or TrustedInstaller",
		path, who);
}

/* -- what they may do ----------------------------------------------------------------------------
 */

/* Who is granted something by an entry: NULL when nobody is, or nobody known. *mask: what. */
static PSID granted(ACE_HEADER *header, DWORD *mask)
{
	ACCESS_ALLOWED_ACE *ace = (ACCESS_ALLOWED_ACE *)(void *)header;

	*mask = 0;
	if ((header->AceFlags & INHERIT_ONLY_ACE) != 0)
		return NULL;
	switch (header->AceType) {
	case ACCESS_ALLOWED_ACE_TYPE:
	case ACCESS_ALLOWED_CALLBACK_ACE_TYPE:
		*mask = ace->Mask;
		return (PSID)&ace->SidStart;
	case ACCESS_ALLOWED_OBJECT_ACE_TYPE: /* of a directory service; the account stands elsewhere */
	case ACCESS_ALLOWED_CALLBACK_OBJECT_ACE_TYPE:
	case ACCESS_ALLOWED_COMPOUND_ACE_TYPE:
		*mask = ace->Mask;
		return NULL;
	default:
		return NULL;
	}
}

static via_rc check_list(PACL list, const win_sid *user, DWORD refused, const char *path)
{
	char who[192];
	void *entry;
	DWORD i, mask;
	PSID sid;

	if (list == NULL)
		return core_fail(VIA_PERM,
				 "%s: no access list, so that everybody may write, expected one",
				 path);
	for (i = 0; i < list->AceCount; i++) {
		if (!GetAce(list, i, &entry))
			return core_fail_os(VIA_IO, GetLastError(), "%s: reading its access list",
					    path);
		sid = granted(entry, &mask);
		if ((mask & refused) == 0 || is_trusted(sid, user, N_TRUSTED))
			continue;
		sid_text(sid, who, sizeof who);
		return core_fail(VIA_PERM,
				 "%s: %s has access 0x%lx and may write, expected at most 0x%lx",
				 path, who, mask, mask & ~refused);
	}
	return VIA_OK;
}

via_rc win_check_access(PSID owner, PACL list, const win_sid *user, int is_above, const char *path)
{
	via_rc rc = check_owner(owner, user, path);

	return rc == VIA_OK ? check_list(list, user, is_above ? REPLACES : WRITES, path) : rc;
}

static via_rc check_handle(const core_env *e, HANDLE h, const win_sid *user, int is_above,
			   const char *path)
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
	rc = win_check_access(owner, list, user, is_above, path);
	LocalFree(sd);
	return rc;
}

/* -- the gate ------------------------------------------------------------------------------------
 */

static via_rc check_dir(const core_env *e, const wchar_t *dir, const win_sid *user, int is_above)
{
	const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
	char text[WIN_PATH_MAX * 3];
	HANDLE h;
	via_rc rc;

	if (!win_utf8(dir, text, sizeof text))
		return core_fail_os(VIA_IO, GetLastError(), "the name of a directory");
	h = win_may(e, "CreateFileW")
		    ? CreateFileW(dir, READ_CONTROL | FILE_READ_ATTRIBUTES, share, NULL,
				  OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL)
		    : INVALID_HANDLE_VALUE;
	if (h == INVALID_HANDLE_VALUE)
		return core_fail_os(win_rc(GetLastError()), GetLastError(),
				    "%s: opening the directory", text + WIN_PREFIX_LEN);
	rc = check_handle(e, h, user, is_above, text + WIN_PREFIX_LEN);
	CloseHandle(h);
	return rc;
}

/* Behind the root of a canonical path, which is \\?\C:\ or \\?\UNC\server\share\. */
static wchar_t *behind_root(wchar_t *path)
{
	static const wchar_t unc[] = L"\\\\?\\UNC\\";
	const int is_unc = wcsncmp(path, unc, wcslen(unc)) == 0;
	wchar_t *p = path + (is_unc ? wcslen(unc) : WIN_PREFIX_LEN);

	p = wcschr(p, L'\\');
	if (p != NULL && is_unc)
		p = wcschr(p + 1, L'\\');
	return p == NULL ? NULL : p + 1;
}

/* From the root down to the directory that holds the file, which the others may not even add to. */
static via_rc check_dirs(const core_env *e, wchar_t *path, const win_sid *user, const char *named)
{
	wchar_t *end = behind_root(path), *next, c;
	via_rc rc;

	if (end == NULL)
		return core_fail(VIA_IO, "%s: its canonical path has no root", named);
	for (;; end = next) {
		next = wcschr(end + (*end == L'\\'), L'\\');
		c = *end;
		*end = L'\0';
		rc = check_dir(e, path, user, next != NULL);
		*end = c;
		if (rc != VIA_OK || next == NULL)
			return rc;
	}
}

/* An absolute path whose last component is a name. */
static via_rc check_path(const char *path)
{
	const char *p, *last = NULL;

	for (p = path; *p != '\0'; p++)
		if (*p == '\\' || *p == '/')
			last = p;
	if (!os_path_is_absolute(path) || last == NULL || last[1] == '\0' ||
	    strcmp(last + 1, ".") == 0 || strcmp(last + 1, "..") == 0)
		return core_fail(VIA_INVAL, "%s: expected the absolute path of a file", path);
	return VIA_OK;
}

via_rc os_file_trusted(os_file *f, const char *path)
{
	wchar_t full[WIN_PATH_MAX];
	os_file_id now;
	win_sid user;
	DWORD n;
	via_rc rc;

	rc = check_path(path);
	if (rc != VIA_OK)
		return rc;
	if (!win_user(f->e, &user))
		return core_fail_os(VIA_IO, GetLastError(), "%s: finding out who this user is",
				    path);
	n = win_may(f->e, "GetFinalPathNameByHandleW")
		    ? GetFinalPathNameByHandleW(f->h, full, WIN_PATH_MAX, FILE_NAME_NORMALIZED)
		    : 0;
	if (n == 0 || n >= WIN_PATH_MAX)
		return core_fail_os(n == 0 ? win_rc(GetLastError()) : VIA_TOOBIG, GetLastError(),
				    "%s: finding its canonical path", path);
	rc = check_dirs(f->e, full, &user, path);
	if (rc == VIA_OK)
		rc = check_handle(f->e, f->h, &user, 0, path);
	if (rc == VIA_OK)
		rc = os_path_id(path, &now);
	if (rc == VIA_OK && (now.device != f->id.device || now.inode != f->id.inode))
		rc = core_fail(VIA_PERM,
			       "%s: file %llu was put in its place, expected the opened file, %llu",
			       path, (unsigned long long)now.inode,
			       (unsigned long long)f->id.inode);
	return rc;
}
