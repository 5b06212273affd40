/* SPDX-License-Identifier: Apache-2.0
 * tools/viaduct/check_service.h - `viaduct check`: a service that is called by its table and by a server.
 */
#ifndef VIA_TOOLS_CHECK_SERVICE_H
#define VIA_TOOLS_CHECK_SERVICE_H
#include "check.h"

#define CHECK_REQUEST_ROOM 65536u

typedef struct check_served {
	check_child *c;
	via_registry *registry;
	const via_service *service;
	void *self;
	const via_codec *codec;
	uint32_t cap;                    /* bytes of the longest answer it asks for, up to 16 MiB */
	uint64_t which, len, answer_len; /* the request: its values, its bytes; an answer's */
	uint8_t request[CHECK_REQUEST_ROOM];
} check_served;

/* The next request that the codec can make, from s->which on. 0: none. */
int check_request(check_served *s);
/* The same service behind a server and a client of this process. */
void check_served_by_loop(check_served *s, const check_component *p);

#endif
