/* tests/os/test_time.c - clock, processors, environment, texts of system errors. */
#include "rig.h"
#include <stdio.h>
#include <stdlib.h>
#if defined(_WIN32)
#include <windows.h>
#else
#include "core/os/posix/posix.h"
#include <sched.h>
#include <unistd.h>
#endif

TestSuite(os_time, .init = rig_open, .fini = rig_close, .timeout = 30);
TestSuite(os_env, .init = rig_open, .fini = rig_close, .timeout = 30);

Test(os_time, clock_never_goes_back)
{
	via_time last = os_now(), now;
	int i;

	cr_assert_gt(last, 0u);
	for (i = 0; i < 100000; i++) {
		now = os_now();
		cr_assert_geq(now, last);
		last = now;
	}
}

Test(os_time, clock_advances)
{
	via_time start = os_now(), until = start + 5000000u;

	while (os_now() < until)
		os_cpu_relax();
	cr_assert_geq(os_now() - start, 5000000u);
}

Test(os_time, at_least_one_processor)
{
	cr_assert_geq(os_usable_cpus(), 1u);
	cr_assert_lt(os_usable_cpus(), 65536u);
	cr_assert_gt(os_process_id(), 0u);
}

#if defined(_WIN32)
static void use_one_processor(void)
{
	DWORD_PTR mine, all;

	cr_assert(GetProcessAffinityMask(GetCurrentProcess(), &mine, &all));
	cr_assert(SetProcessAffinityMask(GetCurrentProcess(), mine & ~(mine - 1)));
}
#elif defined(__linux__)
static void use_one_processor(void)
{
	cpu_set_t one, old;
	size_t cpu;

	cr_assert_eq(sched_getaffinity(0, sizeof old, &old), 0);
	for (cpu = 0; !CPU_ISSET(cpu, &old); cpu++)
		;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
}
#endif

#if defined(_WIN32) || defined(__linux__)
Test(os_time, affinity_counts)
{
	use_one_processor();
	cr_assert_eq(os_usable_cpus(), 1u);
}
#endif

#if defined(__linux__)
/* One control group tree of files: proc's text, then pairs of file and text. */
static uint32_t quota(const char *proc, const char *dir, const char *file, const char *text)
{
	rig_write(rig_path("cgroup"), proc, strlen(proc));
	if (text != NULL)
		rig_write(rig_path(file), text, strlen(text));
	return posix_cgroup_cpus(rig_path("cgroup"), rig_path(dir));
}

Test(os_time, quota_of_unified_groups)
{
	const char *proc = "0::/a/b\n";

	rig_mkdir(rig_path("fs"));
	rig_mkdir(rig_path("fs/a"));
	rig_mkdir(rig_path("fs/a/b"));
	cr_assert_eq(quota(proc, "fs", "", NULL), 0u, "no files, no quota");
	cr_assert_eq(quota(proc, "fs", "fs/a/b/cpu.max", "max 100000\n"), 0u);
	cr_assert_eq(quota(proc, "fs", "fs/a/b/cpu.max", "50000 100000\n"), 1u, "half a processor");
	cr_assert_eq(quota(proc, "fs", "fs/a/b/cpu.max", "100000 100000\n"), 1u);
	cr_assert_eq(quota(proc, "fs", "fs/a/b/cpu.max", "350000 100000\n"), 4u, "rounded up");
	cr_assert_eq(quota(proc, "fs", "fs/a/cpu.max", "200000 100000\n"), 2u,
		     "the ancestor is tighter");
	cr_assert_eq(quota(proc, "fs", "fs/cpu.max", "100 0\n"), 2u, "a period of 0 is no quota");
	cr_assert_eq(quota(proc, "fs", "fs/cpu.max", "nonsense\n"), 2u);
	cr_assert_eq(quota(proc, "fs", "fs/cpu.max", "-5 100000\n"), 2u);
	cr_assert_eq(quota("0::/gone/away\n", "fs", "fs/cpu.max", "100000 100000\n"), 1u,
		     "a group that is not visible ends at the mount point");
}

Test(os_time, quota_of_legacy_and_hybrid_groups)
{
	const char *proc = "9:memory:/x\n4:cpu,cpuacct:/x\n1:name=systemd:/x\n0::/x\n";

	rig_mkdir(rig_path("fs"));
	rig_mkdir(rig_path("fs/cpu,cpuacct"));
	rig_mkdir(rig_path("fs/cpu,cpuacct/x"));
	rig_mkdir(rig_path("fs/unified"));
	rig_mkdir(rig_path("fs/unified/x"));
	cr_assert_eq(quota(proc, "fs", "fs/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n"), 0u);
	cr_assert_eq(quota(proc, "fs", "fs/cpu,cpuacct/x/cpu.cfs_quota_us", "-1\n"), 0u);
	cr_assert_eq(quota(proc, "fs", "fs/cpu,cpuacct/x/cpu.cfs_quota_us", "250000\n"), 3u);
	cr_assert_eq(quota(proc, "fs", "fs/unified/x/cpu.max", "100000 100000\n"), 1u);
	cr_assert_eq(quota("9:cpuset:/x\n", "fs", "", NULL), 0u, "cpuset is not cpu");
	cr_assert_eq(quota("garbage", "fs", "", NULL), 0u);
	cr_assert_eq(quota("", "fs", "", NULL), 0u);
}
#endif

#if defined(__linux__)
/* Wherever the cpu controller is mounted, and whichever group above has the quota. */
Test(os_time, quota_of_legacy_groups_by_mount)
{
	static const char *const mounts[] = {"fs/cpu", "fs/cpu,cpuacct", "fs/cpuacct,cpu"};
	char file[64];
	uint32_t i;

	rig_mkdir(rig_path("fs"));
	for (i = 0; i < 3; i++) {
		rig_mkdir(rig_path(mounts[i]));
		(void)snprintf(file, sizeof file, "%s/cpu.cfs_quota_us", mounts[i]);
		rig_write(rig_path(file), "150000\n", 7);
		cr_assert_eq(quota("2:cpuacct,cpu:/a/b\n", "fs", "", NULL), 0u, "no period");
		(void)snprintf(file, sizeof file, "%s/cpu.cfs_period_us", mounts[i]);
		cr_assert_eq(quota("2:cpuacct,cpu:/a/b\n", "fs", file, "100000\n"), 2u, "%s",
			     mounts[i]);
		rig_remove(rig_path(file));
	}
}
#endif

/* -- environment ---------------------------------------------------------------------------------
 */

static void set(const char *name, const char *value)
{
#if defined(_WIN32)
	char text[256];

	(void)snprintf(text, sizeof text, "%s=%s", name, value);
	cr_assert_eq(_putenv(text), 0);
#else
	cr_assert_eq(setenv(name, value, 1), 0);
#endif
}

Test(os_env, variables)
{
	char buf[8] = "before";

	cr_assert_eq(os_getenv("VIADUCT_TEST_NOT_SET", buf, sizeof buf), VIA_NOTFOUND);
	cr_assert(rig_error_has("VIADUCT_TEST_NOT_SET"), "%s", via_error());
	set("VIADUCT_TEST_VALUE", "1234567");
	cr_assert_eq(os_getenv("VIADUCT_TEST_VALUE", buf, 7), VIA_TOOBIG);
	cr_assert_str_eq(buf, "before");
	cr_assert_eq(os_getenv("VIADUCT_TEST_VALUE", buf, sizeof buf), VIA_OK);
	cr_assert_str_eq(buf, "1234567");
}

Test(os_env, run_directory)
{
	char buf[256];

#if defined(_WIN32)
	set("ProgramData", "Q:\\data");
	cr_assert_eq(os_default_run_dir(buf, sizeof buf), VIA_OK);
	cr_assert_str_eq(buf, "Q:\\data\\viaduct");
	cr_assert(SetEnvironmentVariableW(L"ProgramData", L"Q:\\D\x00f6t\x00e9\x6a4b"));
	cr_assert_eq(os_default_run_dir(buf, sizeof buf), VIA_OK);
	cr_assert_str_eq(buf, "Q:\\D\xc3\xb6t\xc3\xa9\xe6\xa9\x8b\\viaduct");
	set("ProgramData", "not\\absolute");
	cr_assert_eq(os_default_run_dir(buf, sizeof buf), VIA_OK);
	cr_assert_str_eq(buf, "C:\\ProgramData\\viaduct");
#else
	set("XDG_RUNTIME_DIR", "/run/user/77");
	cr_assert_eq(os_default_run_dir(buf, sizeof buf), VIA_OK);
	cr_assert_str_eq(buf, "/run/user/77/viaduct");
	set("XDG_RUNTIME_DIR", "not/absolute");
	cr_assert_eq(os_default_run_dir(buf, sizeof buf), VIA_OK);
	cr_assert_str_eq(buf, "/run/viaduct");
	cr_assert_eq(unsetenv("XDG_RUNTIME_DIR"), 0);
	cr_assert_eq(os_default_run_dir(buf, sizeof buf), VIA_OK);
	cr_assert_str_eq(buf, "/run/viaduct");
#endif
	cr_assert_eq(os_default_run_dir(buf, 5), VIA_TOOBIG);
}

Test(os_env, module_directory_is_absolute)
{
	char buf[4096];

	cr_assert_eq(os_default_module_dir(buf, sizeof buf), VIA_OK);
	cr_assert(os_path_is_absolute(buf), "%s", buf);
	cr_assert_gt(strlen(buf), strlen("viaduct/1"));
	cr_assert_str_eq(buf + strlen(buf) - 1, "1", "%s", buf);
	cr_assert_null(strstr(buf, ".."), "%s", buf);
	cr_assert_eq(os_default_module_dir(buf, 3), VIA_TOOBIG);
}

Test(os_env, not_privileged_here)
{
	cr_assert_eq(os_is_privileged(), 0);
}

Test(os_env, error_texts)
{
	char buf[64], small[4];

	os_error_text(2, buf, sizeof buf); /* ENOENT and ERROR_FILE_NOT_FOUND alike */
	cr_assert_gt(strlen(buf), 5u);
	cr_assert_null(strchr(buf, '\n'));
	os_error_text(2, small, sizeof small);
	cr_assert_eq(strlen(small), 3u);
	cr_assert(strncmp(small, buf, 3) == 0);
	os_error_text(INT64_MAX, buf, sizeof buf);
	cr_assert_gt(strlen(buf), 0u);
	os_error_text(INT64_MIN, buf, sizeof buf);
	cr_assert_gt(strlen(buf), 0u);
	os_error_text(2, small, 0);
}
