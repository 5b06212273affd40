/* transports/pipe/pipe_name.c - names of endpoints, and the books of what is held under each.
 *
 * Threads: the books are behind self->lock. Syscalls: none. Peer: none. Wire layout: the name,
 * docs/wire.md section 11.
 */
#include "pipe.h"
#include <stdio.h>
#include <string.h>

/* FNV-1a, 64 bits, of the bytes exactly as given. */
static uint64_t hash(const char *text)
{
	uint64_t h = 0xCBF29CE484222325u;

	for (; *text != '\0'; text++) {
		h ^= (unsigned char)*text;
		h *= 0x100000001B3u;
	}
	return h;
}

/* A backslash would lead to another name; other characters than ASCII are not on the wire. */
static int is_service(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < '!' || *text > '~' || *text == '\\' || *text == '/')
			return 0;
	return 1;
}

via_rc pipe_name_make(const struct pipe_self *s, const via_address *a, wchar_t out[PIPE_NAME_MAX])
{
	const char *service = a->service == NULL ? "" : a->service;
	char text[PIPE_NAME_MAX];
	int n, i;

	if (service[0] == '\0' || !is_service(service))
		return pipe_failf(s, VIA_INVAL, 0,
				  "service name: expected printable ASCII characters, at least "
				  "one, and no '/' or '\\', found \"%.200s\"",
				  service);
	n = snprintf(text, sizeof text, PIPE_PREFIX "%016llx-%s",
		     (unsigned long long)hash(a->ns == NULL ? "" : a->ns), service);
	if (n < 0 || (size_t)n >= sizeof text)
		return pipe_failf(s, VIA_INVAL, ERROR_FILENAME_EXCED_RANGE,
				  "pipe name: expected at most %u characters, found %d: %s...",
				  PIPE_NAME_MAX - 1, n, text);
	for (i = 0; i <= n; i++)
		out[i] = (wchar_t)(unsigned char)text[i];
	return VIA_OK;
}

void pipe_name_text(const wchar_t *name, char out[PIPE_NAME_MAX])
{
	size_t i = 0;

	do
		out[i] = (char)name[i];
	while (name[i++] != L'\0');
}

/* -- books ------------------------------------------------------------------------------------- */

struct pipe_name *pipe_name_hold(struct pipe_self *s, const wchar_t *text)
{
	struct pipe_name *n;

	AcquireSRWLockExclusive(&s->lock);
	for (n = s->names; n != NULL && wcscmp(n->text, text) != 0; n = n->next)
		;
	if (n == NULL) {
		n = s->h->alloc(s->h->ctx, sizeof *n, _Alignof(struct pipe_name));
		if (n != NULL) {
			wcscpy(n->text, text);
			n->next = s->names;
			s->names = n;
		}
	}
	if (n != NULL)
		n->instances++;
	ReleaseSRWLockExclusive(&s->lock);
	return n;
}

void pipe_name_keep(struct pipe_self *s, struct pipe_name *n)
{
	AcquireSRWLockExclusive(&s->lock);
	n->instances++;
	ReleaseSRWLockExclusive(&s->lock);
}

void pipe_name_drop(struct pipe_self *s, struct pipe_name *n)
{
	struct pipe_name **at = &s->names;

	AcquireSRWLockExclusive(&s->lock);
	if (--n->instances == 0) {
		while (*at != n)
			at = &(*at)->next;
		*at = n->next;
		s->h->free(s->h->ctx, n);
	}
	ReleaseSRWLockExclusive(&s->lock);
}

int pipe_name_claim(struct pipe_self *s, struct pipe_name *n)
{
	int was;

	AcquireSRWLockExclusive(&s->lock);
	was = n->listening;
	n->listening = 1;
	ReleaseSRWLockExclusive(&s->lock);
	return !was;
}

void pipe_name_unclaim(struct pipe_self *s, struct pipe_name *n)
{
	AcquireSRWLockExclusive(&s->lock);
	n->listening = 0;
	ReleaseSRWLockExclusive(&s->lock);
}

int pipe_name_only(struct pipe_self *s, const struct pipe_name *n)
{
	int only;

	AcquireSRWLockShared(&s->lock);
	only = n->instances == 1;
	ReleaseSRWLockShared(&s->lock);
	return only;
}
