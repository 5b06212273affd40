/* tools/lib/elsewhere.c - what is not built for this system. */
#include "elsewhere.h"

#include <stddef.h>
#include <string.h>

enum { SERVICE, MODULE, TRANSPORT, END };

static const struct {
	int kind;
	const char *name, *needs;
} table[] = {
#include "elsewhere.inc"
	{END, NULL, NULL}};

const char elsewhere_here[] = ELSEWHERE_HERE;

static const char *find(int kind, const char *name)
{
	size_t i;

	for (i = 0; table[i].kind != END; i++)
		if (table[i].kind == kind && strcmp(table[i].name, name) == 0)
			return table[i].needs;
	return NULL;
}

const char *elsewhere_service(const char *name)
{
	return find(SERVICE, name);
}

const char *elsewhere_module(const char *id)
{
	return find(MODULE, id);
}

const char *elsewhere_transport(const char *scheme)
{
	return find(TRANSPORT, scheme);
}
