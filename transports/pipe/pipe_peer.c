/* transports/pipe/pipe_peer.c - who is at the other end.
 *
 * Threads: none; while a client is impersonated, which is until its token is open, the calling thread
 * acts as that client. Syscalls: named pipe queries, tokens. Peer: cannot change what is said of it.
 * Wire layout: none.
 */
#include "pipe.h"
#include <sddl.h>
#include <stdio.h>
#include <string.h>

DWORD pipe_user_of(const struct pipe_self *s, HANDLE token, char *buf, size_t cap)
{
	union {
		TOKEN_USER user;
		uint8_t room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
	} t;
	DWORD err = pipe_deny(s, "GetTokenInformation");
	wchar_t *text = NULL;
	DWORD n = 0;
	size_t i;

	if (err == 0 && !GetTokenInformation(token, TokenUser, &t, sizeof t, &n))
		err = GetLastError();
	if (err == 0)
		err = pipe_deny(s, "ConvertSidToStringSidW");
	if (err == 0 && !ConvertSidToStringSidW(t.user.User.Sid, &text))
		err = GetLastError();
	if (err != 0)
		return err;
	for (i = 0; text[i] != L'\0' && i + 1 < cap; i++)
		buf[i] = (char)text[i];
	if (text[i] != L'\0')
		err = ERROR_INSUFFICIENT_BUFFER;
	buf[i] = '\0';
	LocalFree(text);
	return err;
}

/* Ends the impersonation: the thread is again what it was. Never to be skipped. */
static DWORD revert(HANDLE before)
{
	if (before != NULL && SetThreadToken(NULL, before))
		return 0;
	return RevertToSelf() ? 0 : GetLastError();
}

/* The client's token, from its side of the pipe. ERROR_CANNOT_IMPERSONATE: it has not sent anything
 * yet, or opened the pipe anonymously. */
static DWORD client_token(const struct pipe_self *s, HANDLE pipe, HANDLE *out)
{
	HANDLE before = NULL;
	DWORD err = pipe_deny(s, "ImpersonateNamedPipeClient");
	DWORD back;

	if (err != 0)
		return err;
	if (!OpenThreadToken(GetCurrentThread(), TOKEN_IMPERSONATE, TRUE, &before))
		before = NULL; /* the usual case: this thread is nobody but itself */
	if (!ImpersonateNamedPipeClient(pipe)) {
		err = GetLastError();
	} else {
		err = pipe_deny(s, "OpenThreadToken");
		if (err == 0 && !OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, TRUE, out))
			err = GetLastError();
		back = revert(before);
		if (back != 0) {
			if (err == 0)
				CloseHandle(*out);
			err = back;
		}
	}
	if (before != NULL)
		CloseHandle(before);
	return err;
}

/* The token of the process that serves the pipe. Its id could be another one's by now if it had
 * ended; then the pipe has, too. */
static DWORD server_token(const struct pipe_self *s, HANDLE pipe, DWORD pid, HANDLE *out)
{
	DWORD err = pipe_deny(s, "OpenProcess");
	HANDLE p;

	if (err != 0)
		return err;
	p = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid);
	if (p == NULL)
		return GetLastError();
	err = pipe_deny(s, "OpenProcessToken");
	if (err == 0 && !OpenProcessToken(p, TOKEN_QUERY, out))
		err = GetLastError();
	CloseHandle(p);
	if (err != 0)
		return err;
	if (PeekNamedPipe(pipe, NULL, 0, NULL, NULL, NULL))
		return 0;
	err = GetLastError();
	CloseHandle(*out);
	return err;
}

static DWORD peer_pid(const struct pipe_self *s, HANDLE pipe, int is_server, DWORD *pid)
{
	ULONG id = 0;
	DWORD err = pipe_deny(s, is_server ? "GetNamedPipeClientProcessId"
					   : "GetNamedPipeServerProcessId");

	if (err != 0)
		return err;
	if (!(is_server ? GetNamedPipeClientProcessId(pipe, &id)
			: GetNamedPipeServerProcessId(pipe, &id)))
		return GetLastError();
	*pid = id;
	return 0;
}

/* Who the user is may be hidden (a process of another user, a client that has said nothing yet); that
 * is no error, only less to tell. */
via_rc pipe_peer_read(const struct pipe_self *s, HANDLE pipe, int is_server, via_peer *out)
{
	char user[192];
	HANDLE token = NULL;
	DWORD pid = 0;
	DWORD err = peer_pid(s, pipe, is_server, &pid);
	int n;

	if (err != 0)
		return pipe_fail(s, err, "GetNamedPipeProcessId", "of the peer");
	err = is_server ? client_token(s, pipe, &token) : server_token(s, pipe, pid, &token);
	if (err == 0) {
		err = pipe_user_of(s, token, user, sizeof user);
		CloseHandle(token);
	}
	out->valid = VIA_PEER_PID | VIA_PEER_LABEL;
	out->pid = pid;
	out->uid = out->gid = 0;
	n = err != 0 ? (int)sizeof out->label
		     : snprintf(out->label, sizeof out->label, "pid %lu %s", (unsigned long)pid,
				user);
	if (n < 0 || (size_t)n >= sizeof out->label)
		(void)snprintf(out->label, sizeof out->label, "pid %lu", (unsigned long)pid);
	return VIA_OK;
}
