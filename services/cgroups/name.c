/* services/cgroups/name.c - what people call a control group, from its path alone.
 *
 * A path is read from the left. Every component is one of: a group (a slice, /docker, /kubepods), a
 * unit of systemd, a box (container, pod or virtual machine), or plain. The name is the innermost
 * box, if there is one, then what was found below it: the last unit or group, and the plain
 * components behind.
 *
 * Pure. Threads: any. Syscalls: none.
 */
#include "cgroups.h"

#include <string.h>

#define ID_SHOWN 12u /* of a container's id, as the tools print it */
#define ID_LEN 64u
#define PART_MAX 255u /* longer components cannot exist and are not interpreted */

struct part {
	const char *s;
	uint64_t len;
};

/* What one component turned out to be. */
struct finding {
	uint32_t is, by; /* CGROUPS_IS_*, CGROUPS_BY_* */
	struct cgroups_text text;
};

/* Where in the path we are. */
struct place {
	struct part parent, grandparent;
	uint32_t parent_is; /* CGROUPS_IS_* of the parent; ROOT at the top */
	uint8_t in_kube, in_pod, reserved[2];
};

/* -- bytes ------------------------------------------------------------------------------------- */

static int equals(struct part p, const char *z)
{
	return p.len == strlen(z) && memcmp(p.s, z, (size_t)p.len) == 0;
}

static int begins(struct part p, const char *z)
{
	return p.len >= strlen(z) && memcmp(p.s, z, strlen(z)) == 0;
}

static int ends(struct part p, const char *z)
{
	return p.len >= strlen(z) && memcmp(p.s + p.len - strlen(z), z, strlen(z)) == 0;
}

static struct part drop_front(struct part p, uint64_t n)
{
	return (struct part){p.s + n, p.len - n};
}

static struct part drop_back(struct part p, uint64_t n)
{
	return (struct part){p.s, p.len - n};
}

/* What follows the last z in p; *before gets what precedes it. */
static int split_last(struct part p, const char *z, struct part *before, struct part *after)
{
	uint64_t n = strlen(z), at;

	if (p.len < n)
		return 0;
	for (at = p.len - n + 1; at > 0; at--) {
		if (memcmp(p.s + at - 1, z, (size_t)n) == 0) {
			*before = (struct part){p.s, at - 1};
			*after = drop_front(p, at - 1 + n);
			return 1;
		}
	}
	return 0;
}

static int is_hex_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static int is_digits(struct part p)
{
	uint64_t i;

	for (i = 0; i < p.len; i++)
		if (p.s[i] < '0' || p.s[i] > '9')
			return 0;
	return p.len > 0;
}

static int is_id(struct part p, uint64_t shortest)
{
	uint64_t i;

	for (i = 0; i < p.len; i++)
		if (!is_hex_digit(p.s[i]))
			return 0;
	return p.len >= shortest && p.len <= ID_LEN;
}

/* "1-name" -> "name": the number that libvirt puts before the names of its machines. */
static struct part drop_number(struct part p)
{
	uint64_t n = 0;

	while (n < p.len && p.s[n] >= '0' && p.s[n] <= '9')
		n++;
	if (n > 0 && n + 1 < p.len && p.s[n] == '-')
		return drop_front(p, n + 1);
	return p;
}

/* -- findings ---------------------------------------------------------------------------------- */

static int found(struct finding *f, uint32_t is, uint32_t by, const char *label, struct part rest)
{
	f->is = is;
	f->by = by;
	cgroups_text_add_z(&f->text, label);
	cgroups_text_add(&f->text, rest.s, rest.len);
	return 1;
}

static int found_id(struct finding *f, uint32_t is, uint32_t by, const char *label, struct part id)
{
	if (id.len > ID_SHOWN)
		id.len = ID_SHOWN;
	return found(f, is, by, label, id);
}

/* -- containers with an id --------------------------------------------------------------------- */

static const struct runtime {
	const char *prefix; /* the last byte is the separator of the usual form */
	const char *label;
	uint32_t is, by;
} runtimes[] = {
	{"cri-containerd-", "k8s-", CGROUPS_IS_CONTAINER, CGROUPS_BY_K8S},
	{"crio-conmon-", "k8s-conmon-", CGROUPS_IS_SCOPE, CGROUPS_BY_K8S},
	{"crio-", "k8s-", CGROUPS_IS_CONTAINER, CGROUPS_BY_K8S},
	{"docker-", "docker-", CGROUPS_IS_CONTAINER, CGROUPS_BY_DOCKER},
	{"libpod-conmon-", "podman-conmon-", CGROUPS_IS_SCOPE, CGROUPS_BY_PODMAN},
	{"libpod-payload-", "podman-", CGROUPS_IS_CONTAINER, CGROUPS_BY_PODMAN},
	{"libpod-", "podman-", CGROUPS_IS_CONTAINER, CGROUPS_BY_PODMAN},
	{"nerdctl-", "containerd-", CGROUPS_IS_CONTAINER, CGROUPS_BY_UNKNOWN},
	{"containerd-", "containerd-", CGROUPS_IS_CONTAINER, CGROUPS_BY_UNKNOWN},
	{"kata_", "kata-", CGROUPS_IS_CONTAINER, CGROUPS_BY_UNKNOWN},
};

static int found_runtime(struct finding *f, const struct place *at, const struct runtime *r,
			 struct part id)
{
	if (at->in_kube != 0 && r->is == CGROUPS_IS_CONTAINER)
		return found_id(f, r->is, CGROUPS_BY_K8S, "k8s-", id);
	return found_id(f, r->is, r->by, r->label, id);
}

/* docker-<id>, libpod-<id>, ...; also "some.slice:cri-containerd:<id>", which runtimes leave
 * behind when they are told to use systemd's names but not systemd. */
static int find_runtime(struct part p, const struct place *at, struct finding *f)
{
	struct part before, id, slice, name;
	size_t i;

	for (i = 0; i < sizeof runtimes / sizeof runtimes[0]; i++) {
		id = drop_front(p,
				begins(p, runtimes[i].prefix) ? strlen(runtimes[i].prefix) : p.len);
		if (is_id(id, ID_SHOWN))
			return found_runtime(f, at, &runtimes[i], id);
	}
	if (!split_last(p, ":", &before, &id) || !is_id(id, ID_SHOWN))
		return 0;
	if (!split_last(before, ":", &slice, &name))
		return 0;
	for (i = 0; i < sizeof runtimes / sizeof runtimes[0]; i++) {
		if (name.len + 1 == strlen(runtimes[i].prefix) &&
		    memcmp(name.s, runtimes[i].prefix, (size_t)name.len) == 0)
			return found_runtime(f, at, &runtimes[i], id);
	}
	return 0;
}

/* A directory that is nothing but an id: whose it is, only its place can tell. */
static int find_bare_id(struct part p, const struct place *at, struct finding *f)
{
	if (at->in_pod != 0 && is_id(p, 32))
		return found_id(f, CGROUPS_IS_CONTAINER, CGROUPS_BY_K8S, "k8s-", p);
	if (p.len != ID_LEN || !is_id(p, ID_LEN))
		return 0;
	if (at->in_kube != 0 || equals(at->parent, "k8s.io"))
		return found_id(f, CGROUPS_IS_CONTAINER, CGROUPS_BY_K8S, "k8s-", p);
	if (equals(at->parent, "libpod_parent"))
		return found_id(f, CGROUPS_IS_POD, CGROUPS_BY_PODMAN, "podman-pod-", p);
	if (equals(at->parent, "docker") || equals(at->parent, "moby") ||
	    equals(at->parent, "actions_job") || equals(at->parent, "ecs") ||
	    equals(at->grandparent, "ecs"))
		return found_id(f, CGROUPS_IS_CONTAINER, CGROUPS_BY_DOCKER, "docker-", p);
	if (equals(at->parent, "default"))
		return found_id(f, CGROUPS_IS_CONTAINER, CGROUPS_BY_UNKNOWN, "containerd-", p);
	return found_id(f, CGROUPS_IS_CONTAINER, CGROUPS_BY_UNKNOWN, "container-", p);
}

/* -- pods -------------------------------------------------------------------------------------- */

/* 8-4-4-4-12 hex digits with one kind of separator, or 32 of them: a pod made from a file. */
static int is_pod_uid(struct part p)
{
	uint64_t i;

	if (p.len == 32)
		return is_id(p, 32);
	if (p.len != 36)
		return 0;
	for (i = 0; i < p.len; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if ((p.s[i] != '-' && p.s[i] != '_') || p.s[i] != p.s[8])
				return 0;
		} else if (!is_hex_digit(p.s[i])) {
			return 0;
		}
	}
	return 1;
}

static int found_pod(struct finding *f, struct part uid)
{
	char text[36];
	uint64_t i;

	for (i = 0; i < uid.len; i++)
		text[i] = (char)(uid.s[i] == '_' ? '-' : uid.s[i]);
	return found(f, CGROUPS_IS_POD, CGROUPS_BY_K8S, "k8s-pod-", (struct part){text, uid.len});
}

/* "kubepods", "kubepods-burstable", also below "kubelet-": *rest is the part from "kubepods" on. */
static int is_kube(struct part p, struct part *rest)
{
	if (begins(p, "kubelet-"))
		p = drop_front(p, 8);
	if (!begins(p, "kubepods") || (p.len > 8 && p.s[8] != '-' && p.s[8] != '.'))
		return 0;
	*rest = p;
	return 1;
}

static int find_kube_directory(struct part p, const struct place *at, struct finding *f)
{
	if (equals(p, "kubepods"))
		return found(f, CGROUPS_IS_GROUP, CGROUPS_BY_K8S, "", p);
	if (at->in_kube == 0)
		return 0;
	if (begins(p, "pod") && is_pod_uid(drop_front(p, 3)))
		return found_pod(f, drop_front(p, 3));
	if (equals(at->parent, "kubepods") &&
	    (equals(p, "burstable") || equals(p, "besteffort") || equals(p, "guaranteed")))
		return found(f, CGROUPS_IS_GROUP, CGROUPS_BY_K8S, "kubepods-", p);
	return 0;
}

/* -- machines ---------------------------------------------------------------------------------- */

/* machine-qemu-3-web.scope of libvirt, machine-lxc-9-web.scope, machine-web.scope of nspawn. */
static int find_machine_scope(struct part stem, const struct place *at, struct finding *f)
{
	if (equals(at->parent, "qemu.slice") && is_digits(stem))
		return found(f, CGROUPS_IS_VM, CGROUPS_BY_KVM, "kvm-", stem);
	if (!begins(stem, "machine-") || stem.len == 8)
		return 0;
	stem = drop_front(stem, 8);
	if (begins(stem, "qemu-") && stem.len > 5)
		return found(f, CGROUPS_IS_VM, CGROUPS_BY_KVM, "kvm-",
			     drop_number(drop_front(stem, 5)));
	if (begins(stem, "lxc-") && stem.len > 4)
		return found(f, CGROUPS_IS_CONTAINER, CGROUPS_BY_LXC, "lxc-",
			     drop_number(drop_front(stem, 4)));
	return found(f, CGROUPS_IS_CONTAINER, CGROUPS_BY_NSPAWN, "nspawn-", stem);
}

/* libvirt without systemd: /machine/web.libvirt-qemu, and much earlier /libvirt/qemu/web. */
static int find_libvirt(struct part p, const struct place *at, struct finding *f)
{
	int is_old = equals(at->grandparent, "libvirt");

	if (ends(p, ".libvirt-qemu") && p.len > 13) {
		p = drop_back(p, 13);
		if (begins(p, "qemu-") && p.len > 5)
			p = drop_number(drop_front(p, 5));
		return found(f, CGROUPS_IS_VM, CGROUPS_BY_KVM, "kvm-", p);
	}
	if (ends(p, ".libvirt-lxc") && p.len > 12) {
		p = drop_back(p, 12);
		if (begins(p, "lxc-") && p.len > 4)
			p = drop_number(drop_front(p, 4));
		return found(f, CGROUPS_IS_CONTAINER, CGROUPS_BY_LXC, "lxc-", p);
	}
	if (is_old && equals(at->parent, "qemu"))
		return found(f, CGROUPS_IS_VM, CGROUPS_BY_KVM, "kvm-", p);
	if (is_old && equals(at->parent, "lxc"))
		return found(f, CGROUPS_IS_CONTAINER, CGROUPS_BY_LXC, "lxc-", p);
	return 0;
}

/* -- systemd ----------------------------------------------------------------------------------- */

static int find_slice(struct part stem, struct finding *f)
{
	struct part kube, before, id;

	if (is_kube(stem, &kube)) {
		if (split_last(kube, "-pod", &before, &id) && is_pod_uid(id))
			return found_pod(f, id);
		return found(f, CGROUPS_IS_GROUP, CGROUPS_BY_K8S, "", kube);
	}
	if (split_last(stem, "libpod_pod_", &before, &id) && is_id(id, ID_SHOWN))
		return found_id(f, CGROUPS_IS_POD, CGROUPS_BY_PODMAN, "podman-pod-", id);
	return found(f, CGROUPS_IS_GROUP, CGROUPS_BY_SYSTEMD, "", stem);
}

/* A component that ends like the name of a unit. */
static int find_unit(struct part p, const struct place *at, struct finding *f)
{
	static const char nspawn[] = "systemd-nspawn@";
	uint32_t by = at->in_kube != 0 ? CGROUPS_BY_K8S : CGROUPS_BY_SYSTEMD;
	struct part stem;

	if (ends(p, ".slice") && p.len > 6)
		return find_slice(drop_back(p, 6), f);
	if (ends(p, ".scope") && p.len > 6) {
		stem = drop_back(p, 6);
		return find_runtime(stem, at, f) || find_bare_id(stem, at, f) ||
		       find_machine_scope(stem, at, f) || found(f, CGROUPS_IS_SCOPE, by, "", stem);
	}
	if (ends(p, ".service") && p.len > 8) {
		stem = drop_back(p, 8);
		if (begins(stem, nspawn) && stem.len >= sizeof nspawn)
			return found(f, CGROUPS_IS_CONTAINER, CGROUPS_BY_NSPAWN, "nspawn-",
				     drop_front(stem, sizeof nspawn - 1));
		return found(f, CGROUPS_IS_SERVICE, by, "", stem);
	}
	if ((ends(p, ".mount") && p.len > 6) || (ends(p, ".socket") && p.len > 7) ||
	    (ends(p, ".swap") && p.len > 5))
		return found(f, CGROUPS_IS_UNIT, by, "", p);
	return 0;
}

/* -- directories that nobody's unit made ------------------------------------------------------- */

static int find_lxc(struct part p, const struct place *at, struct finding *f)
{
	int is_top = at->parent_is != CGROUPS_IS_PLAIN && at->parent_is != CGROUPS_IS_SCOPE &&
		     at->parent_is != CGROUPS_IS_SERVICE && at->parent_is != CGROUPS_IS_UNIT;

	if (is_top && (equals(p, "lxc") || equals(p, "lxc.payload") || equals(p, "lxc.monitor")))
		return found(f, CGROUPS_IS_GROUP, CGROUPS_BY_LXC, "", p);
	if (begins(p, "lxc.payload.") && p.len > 12)
		return found(f, CGROUPS_IS_CONTAINER, CGROUPS_BY_LXC, "lxc-", drop_front(p, 12));
	if (begins(p, "lxc.monitor.") && p.len > 12)
		return found(f, CGROUPS_IS_SCOPE, CGROUPS_BY_LXC, "lxc-monitor-",
			     drop_front(p, 12));
	if (at->parent_is != CGROUPS_IS_GROUP)
		return 0;
	if (equals(at->parent, "lxc") || equals(at->parent, "lxc.payload"))
		return found(f, CGROUPS_IS_CONTAINER, CGROUPS_BY_LXC, "lxc-", p);
	if (equals(at->parent, "lxc.monitor"))
		return found(f, CGROUPS_IS_SCOPE, CGROUPS_BY_LXC, "lxc-monitor-", p);
	return 0;
}

static int find_docker_directory(struct part p, const struct place *at, struct finding *f)
{
	if (equals(p, "docker") &&
	    (at->parent_is == CGROUPS_IS_ROOT || at->parent_is == CGROUPS_IS_CONTAINER))
		return found(f, CGROUPS_IS_GROUP, CGROUPS_BY_DOCKER, "", p);
	if (at->parent_is != CGROUPS_IS_GROUP)
		return 0;
	if (equals(p, "buildkit") && equals(at->parent, "docker"))
		return found(f, CGROUPS_IS_GROUP, CGROUPS_BY_DOCKER, "docker-", p);
	if (equals(at->parent, "buildkit"))
		return found_id(f, CGROUPS_IS_CONTAINER, CGROUPS_BY_DOCKER, "buildkit-", p);
	return 0;
}

static void find(struct part p, const struct place *at, struct finding *f)
{
	char plain[PART_MAX];
	struct part unit;

	cgroups_text_clear(&f->text);
	if (p.len <= sizeof plain) {
		unit = (struct part){plain, cgroups_unescape(p.s, p.len, plain)};
		if (find_unit(unit, at, f))
			return;
	}
	if (find_kube_directory(p, at, f) || find_runtime(p, at, f) || find_bare_id(p, at, f) ||
	    find_libvirt(p, at, f) || find_lxc(p, at, f) || find_docker_directory(p, at, f))
		return;
	found(f, CGROUPS_IS_PLAIN, CGROUPS_BY_UNKNOWN, "", p);
}

/* -- whole paths ------------------------------------------------------------------------------- */

static int is_box(uint32_t is)
{
	return is == CGROUPS_IS_CONTAINER || is == CGROUPS_IS_VM || is == CGROUPS_IS_POD;
}

struct reading {
	struct cgroups_text box, tail;
	uint32_t box_by, tail_by;
	struct place at;
	struct finding f;
};

/* Takes in one more component. */
static void read_part(struct reading *r, struct part p)
{
	struct part kube;

	if (is_kube(p, &kube))
		r->at.in_kube = 1;
	find(p, &r->at, &r->f);
	if (is_box(r->f.is)) {
		r->box = r->f.text;
		r->box_by = r->f.by;
		cgroups_text_clear(&r->tail);
		r->tail_by = CGROUPS_BY_UNKNOWN;
		r->at.in_pod = r->f.is == CGROUPS_IS_POD && r->f.by == CGROUPS_BY_K8S;
		r->at.in_kube &= r->at.in_pod; /* what runs inside a container starts anew */
	} else if (r->f.is == CGROUPS_IS_PLAIN) {
		if (r->at.parent_is == CGROUPS_IS_GROUP)
			cgroups_text_clear(&r->tail);
		if (r->tail.len != 0)
			cgroups_text_add_z(&r->tail, "/");
		cgroups_text_add(&r->tail, r->f.text.at, r->f.text.len);
		r->tail.is_cut |= r->f.text.is_cut;
	} else {
		r->tail = r->f.text;
		r->tail_by = r->f.by;
	}
	r->at.grandparent = r->at.parent;
	r->at.parent = p;
	r->at.parent_is = r->f.is;
}

void cgroups_name(const char *path, uint64_t len, struct cgroups_text *name, uint32_t *options)
{
	struct reading r = {.f = {.is = CGROUPS_IS_ROOT}};
	uint64_t at = 0;

	r.at.parent = r.at.grandparent = (struct part){"", 0};
	r.at.parent_is = CGROUPS_IS_ROOT;
	while (at < len) {
		uint64_t end = at;

		while (end < len && path[end] != '/')
			end++;
		if (end > at)
			read_part(&r, (struct part){path + at, end - at});
		at = end + 1;
	}

	cgroups_text_clear(name);
	cgroups_text_add(name, r.box.at, r.box.len);
	name->is_cut |= r.box.is_cut;
	if (r.f.is == CGROUPS_IS_ROOT || (r.box.len != 0 && r.tail.len != 0))
		cgroups_text_add_z(name, "/");
	cgroups_text_add(name, r.tail.at, r.tail.len);
	name->is_cut |= r.tail.is_cut;
	cgroups_text_finish(name);
	*options = (r.box.len != 0 ? r.box_by : r.tail_by) | r.f.is << CGROUPS_OPT_KIND_SHIFT;
}
