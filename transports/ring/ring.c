/* transports/ring/ring.c - shared-memory rings of one session: module, provision, attach, link.
 *
 * Threads: the two lanes and abort() may run at once; what they share is atomic or under a lock that
 * only sleepers take. Syscalls: memory and its descriptor when a session begins (ring_map.c), those of
 * the baseline around a sleep (ring_wait.c), none on the way of a record while both sides are awake.
 * Peer: whoever the baseline let in; it can write every byte of the memory at any time. Wire layout:
 * docs/wire.md section 20.
 */
#include "ring.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RING_CAPS \
	(VIA_CAP_RELIABLE | VIA_CAP_PIPELINE | VIA_CAP_HUP | VIA_CAP_POLLABLE | VIA_CAP_ZC_TX | \
	 VIA_CAP_ZC_RX | VIA_CAP_MORE)
#define RING_NEEDS (VIA_CAP_HANDLES | VIA_CAP_HUP | VIA_CAP_POLLABLE)

/* -- errors ------------------------------------------------------------------------------------ */

via_rc ring_rc_of(int err)
{
	switch (err) {
	case EMFILE:
	case ENFILE:
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return VIA_LIMIT;
	case ENOMEM:
		return VIA_NOMEM;
	case EACCES:
	case EPERM:
		return VIA_PERM;
	case ENOSYS:
		return VIA_NOTSUP;
	default:
		return VIA_IO;
	}
}

via_rc ring_fail(const struct ring_self *s, via_rc rc, int err, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return s->h->fail(s->h->ctx, rc, err, text);
}

/* -- facts and end ----------------------------------------------------------------------------- */

static via_rc VIA_CALL ring_take_handles(via_link *base, const via_view *view, via_handle *out,
					 uint32_t max)
{
	(void)base;
	(void)view;
	(void)out;
	(void)max;
	return 0; /* records carry none */
}

static via_rc VIA_CALL ring_peer(via_link *base, via_peer *out)
{
	via_link *b = ring_link_of(base)->baseline;

	return b->ops->peer(b, out);
}

static const void *VIA_CALL ring_get_ext(via_link *base, const char *id)
{
	(void)base;
	(void)id;
	return NULL;
}

/* The peer reads what is in its ring and then sees the end; what it still sends is lost. */
static void VIA_CALL ring_close(via_link *base)
{
	struct ring_link *l = ring_link_of(base);
	const via_host *h = l->self->h;

	if (atomic_load(&l->aborted) == VIA_OK)
		ring_leave(l);
	ring_unmap(&l->map);
	pthread_mutex_destroy(&l->lock);
	h->free(h->ctx, l);
}

static const via_link_ops ring_link_ops = {
	.struct_size = sizeof(via_link_ops),
	.link_size = sizeof(struct ring_link),
	.reserve = ring_reserve,
	.commit = ring_commit,
	.send = ring_send,
	.recv = ring_recv,
	.release = ring_release,
	.arm = ring_arm,
	.disarm = ring_disarm,
	.abort = ring_abort,
	.expect = ring_expect,
	.take_handles = ring_take_handles,
	.shutdown = ring_shutdown,
	.peer = ring_peer,
	.get_ext = ring_get_ext,
	.close = ring_close,
};

/* -- making a link ----------------------------------------------------------------------------- */

static void init_lanes(struct ring_link *l, int sends, const uint32_t *longest)
{
	int receives = RING_DIRECTIONS - 1 - sends;
	struct ring_rx *rx = &l->rx;
	struct ring_tx *tx = &l->tx;

	tx->data = l->map.data[sends];
	tx->control = &l->map.page->control[sends];
	tx->capacity = l->map.capacity[sends];
	tx->max_record = longest[sends];
	tx->clear = RING_LINE;
	tx->want = ring_stride(1) + RING_LINE;
	rx->data = l->map.data[receives];
	rx->control = &l->map.page->control[receives];
	rx->capacity = l->map.capacity[receives];
	rx->max_record = longest[receives];
	rx->expect = VIA_EXPECT_INITIAL;
}

static uint32_t at_least_initial(uint32_t max_record)
{
	return max_record < VIA_EXPECT_INITIAL ? VIA_EXPECT_INITIAL : max_record;
}

/* A link without memory yet, and the layout it is to have. */
static via_rc prepare(struct ring_self *s, const via_upgrade *up, struct ring_header *h,
		      struct ring_link **out)
{
	struct ring_link *l;
	via_rc rc;

	if ((up->baseline->caps & RING_NEEDS) != RING_NEEDS)
		return ring_fail(s, VIA_NOTSUP, 0,
				 "capabilities of the baseline: expected 0x%llx, found 0x%llx",
				 (unsigned long long)RING_NEEDS,
				 (unsigned long long)up->baseline->caps);
	rc = ring_layout(s, at_least_initial(up->max_request), at_least_initial(up->max_response),
			 h);
	if (rc != VIA_OK)
		return rc;
	l = s->h->alloc(s->h->ctx, sizeof *l, _Alignof(struct ring_link));
	if (l == NULL)
		return s->h->fail(s->h->ctx, VIA_NOMEM, 0, "link of a ring");
	if (pthread_mutex_init(&l->lock, NULL) != 0) {
		s->h->free(s->h->ctx, l);
		return s->h->fail(s->h->ctx, VIA_NOMEM, 0, "lock of a ring");
	}
	l->self = s;
	l->baseline = up->baseline;
	*out = l;
	return VIA_OK;
}

static void discard(struct ring_self *s, struct ring_link *l)
{
	pthread_mutex_destroy(&l->lock);
	s->h->free(s->h->ctx, l);
}

/* sends: the direction this side produces. */
static via_link *finish_link(struct ring_link *l, int sends, const struct ring_header *h)
{
	const uint32_t longest[RING_DIRECTIONS] = {h->max_request, h->max_response};

	init_lanes(l, sends, longest);
	l->limits = (via_limits){.struct_size = sizeof(via_limits),
				 .max_record = longest[sends],
				 .max_batch = RING_MAX_BATCH,
				 .max_views = RING_MAX_VIEWS,
				 .max_slots = 1,
				 .align = RING_ALIGN};
	l->base =
		(via_link){.ops = &ring_link_ops,
			   .rx_word = (const volatile uint64_t *)(const volatile void *)l->rx.data,
			   .caps = RING_CAPS | (l->baseline->caps & VIA_CAP_PEERCRED),
			   .limits = &l->limits};
	return &l->base;
}

static via_rc VIA_CALL ring_provision(void *self, via_upgrade *up, via_link **out)
{
	struct ring_self *s = self;
	struct ring_header h;
	struct ring_link *l;
	int fd;
	via_rc rc;

	if (up->cap_handles < 1)
		return ring_fail(s, VIA_INVAL, 0, "room for handles: expected at least 1, found %u",
				 up->cap_handles);
	rc = prepare(s, up, &h, &l);
	if (rc != VIA_OK)
		return rc;
	rc = ring_make(s, &h, &fd, &l->map);
	if (rc != VIA_OK) {
		discard(s, l);
		return rc;
	}
	up->handles[0] = (via_handle){.value = fd, .kind = VIA_H_FD};
	up->n_handles = 1;
	*out = finish_link(l, RING_RESPONSE, &h);
	return VIA_OK;
}

static via_rc VIA_CALL ring_attach(void *self, const via_upgrade *up, via_link **out)
{
	struct ring_self *s = self;
	struct ring_header h;
	struct ring_link *l;
	via_rc rc;

	if (up->n_handles != 1)
		return ring_fail(s, VIA_PROTO, 0, "handles with the answer: expected 1, found %u",
				 up->n_handles);
	if (up->handles[0].kind != VIA_H_FD || up->handles[0].value < 0 ||
	    up->handles[0].value > INT_MAX)
		return ring_fail(s, VIA_PROTO, 0,
				 "kind of the peer's handle: expected %d, found %d", VIA_H_FD,
				 up->handles[0].kind);
	rc = prepare(s, up, &h, &l);
	if (rc != VIA_OK)
		return rc;
	rc = ring_open(s, &h, (int)up->handles[0].value, &l->map);
	if (rc != VIA_OK) {
		discard(s, l);
		return rc;
	}
	*out = finish_link(l, RING_REQUEST, &h);
	return VIA_OK;
}

/* -- module ------------------------------------------------------------------------------------ */

static via_rc VIA_CALL ring_probe(void *self)
{
	struct ring_self *s = self;
	int fd;
	int err = ring_create_file(s, &fd);

	if (err != 0)
		return ring_fail(s, ring_rc_of(err), err, "memfd_create");
	close(fd);
	return 100;
}

/* What cannot be read counts as strict. */
static int is_overcommit_strict(const struct ring_self *s)
{
	char mode = '2';
	int fd = ring_deny(s, "open") != 0
			 ? -1
			 : open("/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 1;
	if (ring_deny(s, "read") != 0 || read(fd, &mode, 1) != 1)
		mode = '2';
	close(fd);
	return mode == '2';
}

static via_rc VIA_CALL ring_init(const via_host *h, const char *config, void **out)
{
	struct ring_self *s;
	long page;

	if (config != NULL && config[strspn(config, "\n")] != '\0') {
		char text[128];

		(void)snprintf(text, sizeof text,
			       "the ring transport has no options, found \"%.80s\"", config);
		return h->fail(h->ctx, VIA_INVAL, 0, text);
	}
	s = h->alloc(h->ctx, sizeof *s, _Alignof(struct ring_self));
	if (s == NULL)
		return h->fail(h->ctx, VIA_NOMEM, 0, "state of the ring transport");
	s->h = h;
	s->gate = h->get_ext(h->ctx, VIA_EXT_SYSGATE);
	page = sysconf(_SC_PAGESIZE);
	s->is_strict = is_overcommit_strict(s);
	s->page = page < (long)sizeof(struct ring_page) ? 4096u : (uint32_t)page;
	*out = s;
	return VIA_OK;
}

static void VIA_CALL ring_fini(void *self)
{
	struct ring_self *s = self;

	s->h->free(s->h->ctx, s);
}

static const via_transport ring_transport = {
	.struct_size = sizeof(via_transport),
	.roles = VIA_ROLE_UPGRADE,
	.profiles = 0x10000,
	.caps = RING_CAPS | VIA_CAP_PEERCRED,
	.needs = RING_NEEDS,
	.schemes = "ring",
	.probe = ring_probe,
	.provision = ring_provision,
	.attach = ring_attach,
};

static const via_component ring_components[] = {
	{sizeof(via_component), VIA_KIND_TRANSPORT, "org.viaduct.ring", 1, 100, &ring_transport},
};

static const via_lifecycle ring_life = {
	.struct_size = sizeof(via_lifecycle),
	.init = ring_init,
	.fini = ring_fini,
};

static const via_module_desc ring_desc =
	VIA_MODULE_DESC("org.viaduct.ring", "1.0.0", "Apache-2.0", VIA_MOD_UNLOADABLE,
			ring_components, &ring_life);

VIA_MODULE(ring, ring_desc,
	   "id=org.viaduct.ring\0"
	   "version=1.0.0\0"
	   "provides=transport org.viaduct.ring/1 score=100 roles=upgrade profiles=0x10000 "
	   "schemes=ring\0")
