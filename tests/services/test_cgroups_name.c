/* tests/services/test_cgroups_name.c - paths of control groups and what people call them. */
#include "services/cgroups/cgroups.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(cgroups_name, .timeout = 20);

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID2 "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UID "11112222-3333-4444-5555-666677778888"
#define UID_ "11112222_3333_4444_5555_666677778888"
#define UID32 "0123456789abcdef0123456789abcdef"
#define USER "/user.slice/user-1000.slice/user@1000.service"
#define KUBE "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_ ".slice"

static const struct name_case {
	const char *path, *name;
	uint32_t by, is;
} cases[] = {
	/* the root, and what nobody is known to have made */
	{"/", "/", CGROUPS_BY_UNKNOWN, CGROUPS_IS_ROOT},
	{"", "/", CGROUPS_BY_UNKNOWN, CGROUPS_IS_ROOT},
	{"///", "/", CGROUPS_BY_UNKNOWN, CGROUPS_IS_ROOT},
	{"/build", "build", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN},
	{"/build/job/1", "build/job/1", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN},
	{"/build//job/", "build/job", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN},
	{"/openrc.sshd", "openrc.sshd", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN},
	{"/.slice", ".slice", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN},
	{"/.service", ".service", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN},
	/* systemd */
	{"/init.scope", "init", CGROUPS_BY_SYSTEMD, CGROUPS_IS_SCOPE},
	{"/system.slice", "system", CGROUPS_BY_SYSTEMD, CGROUPS_IS_GROUP},
	{"/system.slice/ssh.service", "ssh", CGROUPS_BY_SYSTEMD, CGROUPS_IS_SERVICE},
	{"/system.slice/dev-hugepages.mount", "dev-hugepages.mount", CGROUPS_BY_SYSTEMD,
	 CGROUPS_IS_UNIT},
	{"/system.slice/docker.socket", "docker.socket", CGROUPS_BY_SYSTEMD, CGROUPS_IS_UNIT},
	{"/system.slice/swapfile.swap", "swapfile.swap", CGROUPS_BY_SYSTEMD, CGROUPS_IS_UNIT},
	{"/system.slice/docker.service", "docker", CGROUPS_BY_SYSTEMD, CGROUPS_IS_SERVICE},
	{"/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1", CGROUPS_BY_SYSTEMD,
	 CGROUPS_IS_SERVICE},
	{"/system.slice/system-systemd\\x2dfsck.slice", "system-systemd-fsck", CGROUPS_BY_SYSTEMD,
	 CGROUPS_IS_GROUP},
	{"/system.slice/app\\x40home.service", "app@home", CGROUPS_BY_SYSTEMD, CGROUPS_IS_SERVICE},
	{"/system.slice/caf\\xc3\\xa9.service", "caf\xc3\xa9", CGROUPS_BY_SYSTEMD,
	 CGROUPS_IS_SERVICE},
	{"/system.slice/a\\x0ab.service", "a\\x0ab", CGROUPS_BY_SYSTEMD, CGROUPS_IS_SERVICE},
	{"/system.slice/a\\x00b.service", "a\\x00b", CGROUPS_BY_SYSTEMD, CGROUPS_IS_SERVICE},
	{"/system.slice/a\\x2.service", "a\\x2", CGROUPS_BY_SYSTEMD, CGROUPS_IS_SERVICE},
	{"/system.slice/foo", "foo", CGROUPS_BY_SYSTEMD, CGROUPS_IS_PLAIN},
	{"/system.slice/web.service/worker/3", "web/worker/3", CGROUPS_BY_SYSTEMD,
	 CGROUPS_IS_PLAIN},
	{"/user.slice/user-1000.slice", "user-1000", CGROUPS_BY_SYSTEMD, CGROUPS_IS_GROUP},
	{"/user.slice/user-1000.slice/session-3.scope", "session-3", CGROUPS_BY_SYSTEMD,
	 CGROUPS_IS_SCOPE},
	{USER, "user@1000", CGROUPS_BY_SYSTEMD, CGROUPS_IS_SERVICE},
	{USER "/app.slice/app-gnome-firefox-4711.scope", "app-gnome-firefox-4711",
	 CGROUPS_BY_SYSTEMD, CGROUPS_IS_SCOPE},
	{USER "/session.slice/pipewire.service", "pipewire", CGROUPS_BY_SYSTEMD,
	 CGROUPS_IS_SERVICE},
	/* docker */
	{"/docker", "docker", CGROUPS_BY_DOCKER, CGROUPS_IS_GROUP},
	{"/docker/" ID, "docker-0123456789ab", CGROUPS_BY_DOCKER, CGROUPS_IS_CONTAINER},
	{"/system.slice/docker-" ID ".scope", "docker-0123456789ab", CGROUPS_BY_DOCKER,
	 CGROUPS_IS_CONTAINER},
	{USER "/user.slice/docker-" ID ".scope", "docker-0123456789ab", CGROUPS_BY_DOCKER,
	 CGROUPS_IS_CONTAINER},
	{"/docker/" ID "/init.scope", "docker-0123456789ab/init", CGROUPS_BY_DOCKER,
	 CGROUPS_IS_SCOPE},
	{"/docker/" ID "/system.slice/nginx.service", "docker-0123456789ab/nginx",
	 CGROUPS_BY_DOCKER, CGROUPS_IS_SERVICE},
	{"/docker/" ID "/a/b", "docker-0123456789ab/a/b", CGROUPS_BY_DOCKER, CGROUPS_IS_PLAIN},
	{"/docker/" ID "/docker/" ID2, "docker-fedcba987654", CGROUPS_BY_DOCKER,
	 CGROUPS_IS_CONTAINER},
	{"/docker/buildkit", "docker-buildkit", CGROUPS_BY_DOCKER, CGROUPS_IS_GROUP},
	{"/docker/buildkit/vqz1o5cylpmn9ydpsgvm9amm4", "buildkit-vqz1o5cylpmn", CGROUPS_BY_DOCKER,
	 CGROUPS_IS_CONTAINER},
	{"/docker/named", "named", CGROUPS_BY_DOCKER, CGROUPS_IS_PLAIN},
	{"/ecs/task/" ID, "docker-0123456789ab", CGROUPS_BY_DOCKER, CGROUPS_IS_CONTAINER},
	{"/actions_job/" ID, "docker-0123456789ab", CGROUPS_BY_DOCKER, CGROUPS_IS_CONTAINER},
	{"/system.slice/docker-" ID "x.scope", "docker-" ID "x", CGROUPS_BY_SYSTEMD,
	 CGROUPS_IS_SCOPE},
	{"/system.slice/docker-0123456789a.scope", "docker-0123456789a", CGROUPS_BY_SYSTEMD,
	 CGROUPS_IS_SCOPE},
	{"/system.slice/docker-.scope", "docker-", CGROUPS_BY_SYSTEMD, CGROUPS_IS_SCOPE},
	{"/custom/" ID, "container-0123456789ab", CGROUPS_BY_UNKNOWN, CGROUPS_IS_CONTAINER},
	{"/custom/" ID "0", "custom/" ID "0", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN},
	/* containerd without kubernetes */
	{"/default/" ID, "containerd-0123456789ab", CGROUPS_BY_UNKNOWN, CGROUPS_IS_CONTAINER},
	{"/moby/" ID, "docker-0123456789ab", CGROUPS_BY_DOCKER, CGROUPS_IS_CONTAINER},
	{"/k8s.io/" ID, "k8s-0123456789ab", CGROUPS_BY_K8S, CGROUPS_IS_CONTAINER},
	{"/system.slice/nerdctl-" ID ".scope", "containerd-0123456789ab", CGROUPS_BY_UNKNOWN,
	 CGROUPS_IS_CONTAINER},
	/* podman */
	{"/machine.slice/libpod-" ID ".scope", "podman-0123456789ab", CGROUPS_BY_PODMAN,
	 CGROUPS_IS_CONTAINER},
	{"/machine.slice/libpod-" ID ".scope/container", "podman-0123456789ab/container",
	 CGROUPS_BY_PODMAN, CGROUPS_IS_PLAIN},
	{"/machine.slice/libpod-conmon-" ID ".scope", "podman-conmon-0123456789ab",
	 CGROUPS_BY_PODMAN, CGROUPS_IS_SCOPE},
	{"/libpod_parent/libpod-" ID, "podman-0123456789ab", CGROUPS_BY_PODMAN,
	 CGROUPS_IS_CONTAINER},
	{"/libpod_parent/" ID2 "/libpod-" ID, "podman-0123456789ab", CGROUPS_BY_PODMAN,
	 CGROUPS_IS_CONTAINER},
	{"/libpod_parent/" ID2, "podman-pod-fedcba987654", CGROUPS_BY_PODMAN, CGROUPS_IS_POD},
	{"/machine.slice/machine-libpod_pod_" ID2 ".slice", "podman-pod-fedcba987654",
	 CGROUPS_BY_PODMAN, CGROUPS_IS_POD},
	{USER "/user.slice/user-libpod_pod_" ID2 ".slice/libpod-" ID ".scope",
	 "podman-0123456789ab", CGROUPS_BY_PODMAN, CGROUPS_IS_CONTAINER},
	{"/system.slice/web.service/libpod-payload-" ID, "podman-0123456789ab", CGROUPS_BY_PODMAN,
	 CGROUPS_IS_CONTAINER},
	{"/user.slice:libpod:" ID, "podman-0123456789ab", CGROUPS_BY_PODMAN, CGROUPS_IS_CONTAINER},
	/* kubernetes */
	{"/kubepods", "kubepods", CGROUPS_BY_K8S, CGROUPS_IS_GROUP},
	{"/kubepods/burstable", "kubepods-burstable", CGROUPS_BY_K8S, CGROUPS_IS_GROUP},
	{"/kubepods/besteffort/pod" UID, "k8s-pod-" UID, CGROUPS_BY_K8S, CGROUPS_IS_POD},
	{"/kubepods/burstable/pod" UID "/" ID, "k8s-0123456789ab", CGROUPS_BY_K8S,
	 CGROUPS_IS_CONTAINER},
	{"/kubepods/pod" UID32 "/" ID, "k8s-0123456789ab", CGROUPS_BY_K8S, CGROUPS_IS_CONTAINER},
	{"/kubepods/pod" UID32, "k8s-pod-" UID32, CGROUPS_BY_K8S, CGROUPS_IS_POD},
	{"/kubepods/burstable/pod" UID "/crio-" ID, "k8s-0123456789ab", CGROUPS_BY_K8S,
	 CGROUPS_IS_CONTAINER},
	{"/kubepods/burstable/pod" UID "/kata_" ID, "k8s-0123456789ab", CGROUPS_BY_K8S,
	 CGROUPS_IS_CONTAINER},
	{"/kubepods/burstable/podium", "podium", CGROUPS_BY_K8S, CGROUPS_IS_PLAIN},
	{"/kubepods.slice", "kubepods", CGROUPS_BY_K8S, CGROUPS_IS_GROUP},
	{"/kubepods.slice/kubepods-burstable.slice", "kubepods-burstable", CGROUPS_BY_K8S,
	 CGROUPS_IS_GROUP},
	{KUBE, "k8s-pod-" UID, CGROUPS_BY_K8S, CGROUPS_IS_POD},
	{KUBE "/cri-containerd-" ID ".scope", "k8s-0123456789ab", CGROUPS_BY_K8S,
	 CGROUPS_IS_CONTAINER},
	{KUBE "/crio-" ID ".scope", "k8s-0123456789ab", CGROUPS_BY_K8S, CGROUPS_IS_CONTAINER},
	{KUBE "/docker-" ID ".scope", "k8s-0123456789ab", CGROUPS_BY_K8S, CGROUPS_IS_CONTAINER},
	{KUBE "/" ID, "k8s-0123456789ab", CGROUPS_BY_K8S, CGROUPS_IS_CONTAINER},
	{KUBE "/crio-conmon-" ID ".scope", "k8s-pod-" UID "/k8s-conmon-0123456789ab",
	 CGROUPS_BY_K8S, CGROUPS_IS_SCOPE},
	{KUBE "/crio-" ID ".scope/container", "k8s-0123456789ab/container", CGROUPS_BY_K8S,
	 CGROUPS_IS_PLAIN},
	{KUBE "/cri-containerd-" ID ".scope/docker/" ID2, "docker-fedcba987654", CGROUPS_BY_DOCKER,
	 CGROUPS_IS_CONTAINER},
	{"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UID_ ".slice", "k8s-pod-" UID,
	 CGROUPS_BY_K8S, CGROUPS_IS_POD},
	{"/docker/" ID2 "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UID_
	 ".slice/cri-containerd-" ID ".scope",
	 "k8s-0123456789ab", CGROUPS_BY_K8S, CGROUPS_IS_CONTAINER},
	{"/system.slice/containerd.service/kubepods-burstable-pod" UID_ ".slice:cri-containerd:" ID,
	 "k8s-0123456789ab", CGROUPS_BY_K8S, CGROUPS_IS_CONTAINER},
	{"/kubepodsx.slice", "kubepodsx", CGROUPS_BY_SYSTEMD, CGROUPS_IS_GROUP},
	/* virtual machines */
	{"/machine.slice", "machine", CGROUPS_BY_SYSTEMD, CGROUPS_IS_GROUP},
	{"/machine.slice/machine-qemu\\x2d12\\x2dweb.scope", "kvm-web", CGROUPS_BY_KVM,
	 CGROUPS_IS_VM},
	{"/machine.slice/machine-qemu\\x2d1\\x2dmy\\x2dvm.scope/libvirt/vcpu0",
	 "kvm-my-vm/libvirt/vcpu0", CGROUPS_BY_KVM, CGROUPS_IS_PLAIN},
	{"/machine/web.libvirt-qemu", "kvm-web", CGROUPS_BY_KVM, CGROUPS_IS_VM},
	{"/machine/qemu-3-web.libvirt-qemu/emulator", "kvm-web/emulator", CGROUPS_BY_KVM,
	 CGROUPS_IS_PLAIN},
	{"/libvirt/qemu/web", "kvm-web", CGROUPS_BY_KVM, CGROUPS_IS_VM},
	{"/qemu.slice/100.scope", "kvm-100", CGROUPS_BY_KVM, CGROUPS_IS_VM},
	{"/qemu.slice/abc.scope", "abc", CGROUPS_BY_SYSTEMD, CGROUPS_IS_SCOPE},
	/* lxc and lxd */
	{"/lxc", "lxc", CGROUPS_BY_LXC, CGROUPS_IS_GROUP},
	{"/lxc/web", "lxc-web", CGROUPS_BY_LXC, CGROUPS_IS_CONTAINER},
	{"/lxc/101/ns", "lxc-101/ns", CGROUPS_BY_LXC, CGROUPS_IS_PLAIN},
	{"/lxc.payload/web", "lxc-web", CGROUPS_BY_LXC, CGROUPS_IS_CONTAINER},
	{"/lxc.payload.web", "lxc-web", CGROUPS_BY_LXC, CGROUPS_IS_CONTAINER},
	{"/lxc.payload.web/system.slice/cron.service", "lxc-web/cron", CGROUPS_BY_LXC,
	 CGROUPS_IS_SERVICE},
	{"/lxc.monitor.web", "lxc-monitor-web", CGROUPS_BY_LXC, CGROUPS_IS_SCOPE},
	{"/lxc.monitor/web", "lxc-monitor-web", CGROUPS_BY_LXC, CGROUPS_IS_SCOPE},
	{"/lxc.payload.", "lxc.payload.", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN},
	{"/lxc.pivot", "lxc.pivot", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN},
	{"/machine.slice/machine-lxc\\x2d9\\x2dweb.scope", "lxc-web", CGROUPS_BY_LXC,
	 CGROUPS_IS_CONTAINER},
	{"/machine/lxc-9-web.libvirt-lxc", "lxc-web", CGROUPS_BY_LXC, CGROUPS_IS_CONTAINER},
	{"/tools/lxc/web", "tools/lxc/web", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN},
	/* nspawn */
	{"/machine.slice/systemd-nspawn@deb.service", "nspawn-deb", CGROUPS_BY_NSPAWN,
	 CGROUPS_IS_CONTAINER},
	{"/machine.slice/systemd-nspawn@my\\x2ddeb.service/payload", "nspawn-my-deb/payload",
	 CGROUPS_BY_NSPAWN, CGROUPS_IS_PLAIN},
	{"/machine.slice/machine-deb.scope", "nspawn-deb", CGROUPS_BY_NSPAWN, CGROUPS_IS_CONTAINER},
	{"/system.slice/systemd-nspawn@.service", "systemd-nspawn@", CGROUPS_BY_SYSTEMD,
	 CGROUPS_IS_SERVICE},
	/* bytes that a directory name may hold */
	{"/a\nb", "a\\x0ab", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN},
	{"/a\x7f\x01", "a\\x7f\\x01", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN},
	{"/\xff\xfe", "\\xff\\xfe", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN},
	{"/\xc3\xa9t\xc3\xa9", "\xc3\xa9t\xc3\xa9", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN},
	{"/\xc0\xaf", "\\xc0\\xaf", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN},          /* overlong */
	{"/\xed\xa0\x80", "\\xed\\xa0\\x80", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN}, /* surrogate */
	{"/\xc2\x9b", "\\xc2\\x9b", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN},          /* C1 control */
	{"/\xf0\x9f\x90\xa7", "\xf0\x9f\x90\xa7", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN},
	{"/\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN},
	{"/\xe2\x82", "\\xe2\\x82", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN},
	{"/a b=c", "a b=c", CGROUPS_BY_UNKNOWN, CGROUPS_IS_PLAIN},
};

Test(cgroups_name, are_what_people_call_them)
{
	size_t i;

	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct name_case *c = &cases[i];
		struct cgroups_text name;
		uint32_t options = 0xffffffff;

		cgroups_name(c->path, strlen(c->path), &name, &options);
		cr_expect_str_eq(name.at, c->name, "%s gives %s, expected %s", c->path, name.at,
				 c->name);
		cr_expect_eq(name.len, strlen(name.at));
		cr_expect_eq(options & 0xff, c->by, "%s: run by %u, expected %u", c->path,
			     options & 0xff, c->by);
		cr_expect_eq(options >> CGROUPS_OPT_KIND_SHIFT, c->is, "%s: is %u, expected %u",
			     c->path, options >> CGROUPS_OPT_KIND_SHIFT, c->is);
	}
	cr_expect_geq(i, 60);
}

Test(cgroups_name, bytes_behind_the_length_do_not_count)
{
	struct cgroups_text name;
	uint32_t options;

	cgroups_name("/system.slice/ssh.service.d/x", 25, &name, &options);
	cr_expect_str_eq(name.at, "ssh");
	cgroups_name("/docker/" ID "/x", 8 + 64, &name, &options);
	cr_expect_str_eq(name.at, "docker-0123456789ab");
	cgroups_name("/docker/" ID "/x", 8 + 63, &name, &options);
	cr_expect_eq(options >> CGROUPS_OPT_KIND_SHIFT, CGROUPS_IS_PLAIN);
}

Test(cgroups_name, nul_in_a_path_is_a_byte_like_others)
{
	struct cgroups_text name;
	uint32_t options;

	cgroups_name("/a\0b", 4, &name, &options);
	cr_expect_str_eq(name.at, "a\\x00b");
}

Test(cgroups_name, long_ones_are_cut_between_characters)
{
	static const char piece[] = "\xe2\x82\xac"; /* three bytes */
	char path[4096];
	struct cgroups_text name;
	uint32_t options, i, n = 0, bytes;

	for (bytes = 1; bytes < 1200; bytes += 7) {
		path[0] = '/';
		for (n = 1, i = 0; n < bytes; i++)
			path[n++] = piece[i % 3];
		cgroups_name(path, n, &name, &options);
		cr_expect_lt(name.len, CGROUPS_NAME_CAP);
		cr_expect_eq(name.len, strlen(name.at));
		if (name.len > 3 && strcmp(name.at + name.len - 3, "...") == 0)
			cr_expect_eq((name.len - 3) % 3, 0, "%u bytes: a character was divided",
				     bytes);
		else
			cr_expect_lt(bytes, CGROUPS_NAME_CAP);
	}
	cr_expect_str_eq(name.at + name.len - 3, "...");
}

Test(cgroups_name, a_cut_box_still_says_so)
{
	char path[4096];
	struct cgroups_text name;
	uint32_t options;

	/* 255 bytes that each need four */
	memcpy(path, "/lxc.payload.", 13);
	memset(path + 13, 1, 242);
	memcpy(path + 255, "/x", 2);
	cgroups_name(path, 257, &name, &options);
	cr_expect_lt(name.len, CGROUPS_NAME_CAP);
	cr_expect_str_eq(name.at + name.len - 3, "...");
	cr_expect_eq(memcmp(name.at, "lxc-\\x01", 8), 0);
	cr_expect_eq(options & 0xff, CGROUPS_BY_LXC);
}

Test(cgroups_name, hash_is_fnv_1)
{
	cr_expect_eq(cgroups_hash("", 0), 0x811c9dc5u);
	cr_expect_eq(cgroups_hash("a", 1), 0x050c5d7eu);
	cr_expect_eq(cgroups_hash("foobar", 6), 0x31f0b262u);
}
