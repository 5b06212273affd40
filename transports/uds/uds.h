/* SPDX-License-Identifier: Apache-2.0
 * transports/uds/uds.h - what the parts of the uds module share. */
#ifndef VIA_UDS_H
#define VIA_UDS_H
#include <viaduct/module.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#define UDS_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path)) /* with the NUL */
#define UDS_SUFFIX ".sock"      /* the public name: docs/wire.md section 9 */
#define UDS_FRESH_SUFFIX ".new" /* not longer than UDS_SUFFIX, so that it fits whenever that does */
#define UDS_LOCK_SUFFIX ".lock" /* behind the public name; no socket, so its length is free */

#define UDS_BACKLOG 128
#define UDS_MODE 0600u
#define UDS_MAX_HANDLES 8u
#define UDS_MAX_BATCH 16u
#define UDS_MAX_VIEWS 8u
#define UDS_MAX_RECORD 65536u /* when the kernel does not tell */
#define UDS_ALIGN 16u

struct uds_config {
	uint32_t backlog;
	uint32_t mode;
};

struct uds_self {
	const via_host *h;
	const via_sysgate *gate; /* NULL outside of tests */
	struct uds_config defaults;
};

/* The three names of one endpoint. */
struct uds_names {
	char path[UDS_PATH_MAX];  /* {ns}/{service}.sock: what peers dial */
	char fresh[UDS_PATH_MAX]; /* {ns}/{service}.new: bound here, moved to path when listening */
	char lock[UDS_PATH_MAX + sizeof UDS_LOCK_SUFFIX];
};

/* -- uds.c ------------------------------------------------------------------------------------- */

/* 0: make the system call. Otherwise the errno it is to be treated as having failed with. */
static inline int uds_deny(const struct uds_self *s, const char *call)
{
	return s->gate == NULL ? 0 : s->gate->deny(s->gate->arg, call);
}

via_rc uds_rc_of(int err); /* errno to result */
/* Leaves "call what: ..." as detail and returns the result for err. */
via_rc uds_fail(const struct uds_self *s, int err, const char *call, const char *what);
via_rc uds_failf(const struct uds_self *s, via_rc rc, int err, const char *fmt, ...)
	VIA_PRINTF(4, 5);

/* -- uds_config.c ------------------------------------------------------------------------------ */

/* Reads "uds.key=value\n" lines into *cfg; VIA_INVAL names the key or value. */
via_rc uds_config_read(const struct uds_self *s, const char *lines, struct uds_config *cfg);

/* -- uds_path.c -------------------------------------------------------------------------------- */

enum { UDS_NONE = 0, UDS_LIVE, UDS_DEAD, UDS_DIR }; /* what a path names */

via_rc uds_names_make(const struct uds_self *s, const via_address *a, struct uds_names *out);
via_rc uds_socket(const struct uds_self *s, int *fd);
/* connect(2) to path without waiting: 0 or an errno. */
int uds_connect(const struct uds_self *s, int fd, const char *path);
/* UDS_*, or an error when it cannot be told. Symbolic links are followed by the question, not by
 * the answer. */
via_rc uds_probe(const struct uds_self *s, const char *path);
const char *uds_kind_of(const struct uds_self *s,
			const char *path); /* "a regular file", for people */

/* -- uds_link.c, uds_listen.c ------------------------------------------------------------------ */

extern const uint64_t uds_caps;
/* Makes a link of a connected socket, which it owns from now on, also when this fails. */
via_rc uds_link_make(struct uds_self *s, int fd, via_link **out);
via_rc VIA_CALL uds_listen(void *self, const via_address *a, via_listener **out);

#endif
