/* transports/winshm/winshm_access.c - who may open the objects that this process makes.
 *
 * Threads: none. Syscalls: the process token. Peer: none; anybody else who would open the objects is
 * kept out by the system. Wire layout: none.
 */
#include "winshm.h"

/* TOKEN_USER with the SID that it points to. */
union token_user {
	TOKEN_USER user;
	uint8_t room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
};

static via_rc read_user(const struct wshm_self *s, union token_user *out)
{
	HANDLE token = NULL;
	DWORD got = 0;
	via_rc rc = VIA_OK;

	if (!wshm_may(s, "OpenProcessToken") ||
	    !OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
		return wshm_fail(s, GetLastError(), "OpenProcessToken", "of this process");
	if (!wshm_may(s, "GetTokenInformation") ||
	    !GetTokenInformation(token, TokenUser, out, sizeof *out, &got))
		rc = wshm_fail(s, GetLastError(), "GetTokenInformation", "for the user");
	CloseHandle(token);
	return rc;
}

via_rc wshm_access_make(const struct wshm_self *s, struct wshm_access *a)
{
	DWORD system[SECURITY_MAX_SID_SIZE / sizeof(DWORD)]; /* a SID, aligned as one */
	DWORD size = sizeof system;
	union token_user u;
	via_rc rc = read_user(s, &u);

	if (rc != VIA_OK)
		return rc;
	/* Protected: nothing is inherited from the directory of names. */
	if (!CreateWellKnownSid(WinLocalSystemSid, NULL, system, &size) ||
	    !InitializeSecurityDescriptor(&a->descriptor, SECURITY_DESCRIPTOR_REVISION) ||
	    !InitializeAcl(&a->list.acl, sizeof a->list, ACL_REVISION) ||
	    !AddAccessAllowedAce(&a->list.acl, ACL_REVISION, GENERIC_ALL, u.user.User.Sid) ||
	    !AddAccessAllowedAce(&a->list.acl, ACL_REVISION, GENERIC_ALL, system) ||
	    !SetSecurityDescriptorDacl(&a->descriptor, TRUE, &a->list.acl, FALSE) ||
	    !SetSecurityDescriptorControl(&a->descriptor, SE_DACL_PROTECTED, SE_DACL_PROTECTED))
		return wshm_fail(s, GetLastError(), "making", "an access list of two entries");
	a->attributes = (SECURITY_ATTRIBUTES){.nLength = sizeof a->attributes,
					      .lpSecurityDescriptor = &a->descriptor,
					      .bInheritHandle = FALSE};
	return VIA_OK;
}
