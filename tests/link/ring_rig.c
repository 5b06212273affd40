/* tests/link/ring_rig.c - a session's rings by hand. */
#include "ring_rig.h"
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void load(pair *p)
{
	rig_layer *l = &p->ring;
	char why[512];

	cr_assert(rig_load(l, "ring", why, sizeof why), "%s", why);
	cr_assert_eq(l->desc->life->init(&p->r.host.h, NULL, &l->self), VIA_OK);
	p->r.descriptors = rig_descriptors();
	p->r.mappings = rig_mappings(); /* the image is not a leak */
}

void pair_begin(pair *p, uint32_t max_request, uint32_t max_response)
{
	memset(p, 0, sizeof *p);
	p->fd = -1;
	p->max_request = max_request;
	p->max_response = max_response;
	rig_open(&p->r, "uds");
	load(p);
	if (p->ring.t->probe(p->ring.self) < 0) {
		p->ring.desc->life->fini(p->ring.self);
		rig_close(&p->r);
		cr_skip_test("no rings here: %s", rig_detail());
	}
	rig_connect(&p->r);
	p->base_a = p->r.a;
	p->base_b = p->r.b;
	p->r.a = p->r.b = NULL;
}

static via_upgrade upgrade_of(const pair *p, via_link *base, via_handle *h)
{
	return (via_upgrade){.struct_size = sizeof(via_upgrade),
			     .profile = 0x10000,
			     .ns = p->r.dir,
			     .service = "svc",
			     .session_id = 1,
			     .max_request = p->max_request,
			     .max_response = p->max_response,
			     .baseline = base,
			     .handles = h,
			     .cap_handles = 4};
}

via_rc pair_provision(pair *p)
{
	via_handle h[4] = {0};
	via_upgrade up = upgrade_of(p, p->base_b, h);
	via_rc rc = p->ring.t->provision(p->ring.self, &up, &p->b);

	if (rc == VIA_OK) {
		cr_assert_eq(up.n_handles, 1);
		cr_assert_eq(h[0].kind, VIA_H_FD);
		p->fd = (int)h[0].value;
	}
	return rc;
}

via_rc pair_attach(pair *p, const via_handle *h, uint32_t n)
{
	via_handle in[4] = {0};
	via_upgrade up = upgrade_of(p, p->base_a, in);

	memcpy(in, h, n * sizeof *h);
	up.n_handles = n;
	return p->ring.t->attach(p->ring.self, &up, &p->a);
}

void pair_open(pair *p, uint32_t max_request, uint32_t max_response)
{
	via_handle h = {.kind = VIA_H_FD};

	pair_begin(p, max_request, max_response);
	cr_assert_eq(pair_provision(p), VIA_OK, "%s", rig_detail());
	h.value = p->fd;
	cr_assert_eq(pair_attach(p, &h, 1), VIA_OK, "%s", rig_detail());
	cr_assert_eq(p->a->ops->expect(p->a, p->a->limits->max_record + p->max_response), VIA_OK);
	cr_assert_eq(p->b->ops->expect(p->b, p->b->limits->max_record + p->max_request), VIA_OK);
}

void pair_map(pair *p)
{
	struct stat st;

	cr_assert_eq(fstat(p->fd, &st), 0);
	p->shared_len = (size_t)st.st_size;
	p->shared = mmap(NULL, p->shared_len, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
	cr_assert_neq((void *)p->shared, MAP_FAILED);
}

void pair_hang_up(pair *p)
{
	rig_hang_up(&p->a);
	rig_hang_up(&p->b);
	rig_hang_up(&p->base_a);
	rig_hang_up(&p->base_b);
	if (p->shared != NULL)
		munmap(p->shared, p->shared_len);
	p->shared = NULL;
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

void pair_check_clean(pair *p)
{
	p->r.n++; /* the state of the ring module */
	rig_check_clean(&p->r);
	p->r.n--;
}

void pair_close(pair *p)
{
	pair_hang_up(p);
	rig_stop(&p->r.listener);
	p->ring.desc->life->fini(p->ring.self);
	rig_close(&p->r);
}

void pair_said(const char *words)
{
	cr_expect_not_null(strstr(rig_detail(), words), "expected \"%s\", found \"%s\"", words,
			   rig_detail());
}
