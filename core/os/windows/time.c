/* core/os/windows/time.c - the clock, and how many processors this process may use. */
#include "win.h"

#define NS_PER_S 1000000000u

#define HZ_COMMON 10000000 /* of nearly all machines, since Windows 10 */

/* Neither call fails since Windows XP. The product with a second fits: the remainder is less than the frequency. */
via_time os_now(void)
{
	LARGE_INTEGER f, c;

	QueryPerformanceFrequency(&f);
	QueryPerformanceCounter(&c);
	if (f.QuadPart == HZ_COMMON) /* without a division */
		return (via_time)c.QuadPart * (NS_PER_S / HZ_COMMON);
	return (via_time)(c.QuadPart / f.QuadPart) * NS_PER_S +
	       (via_time)(c.QuadPart % f.QuadPart) * NS_PER_S / (via_time)f.QuadPart;
}

DWORD win_ms_left(via_time deadline)
{
	const via_time most = INT32_MAX;
	via_time now, ms;

	if (deadline == VIA_FOREVER)
		return INFINITE;
	if (deadline == VIA_POLL || deadline <= (now = os_now()))
		return 0;
	ms = (deadline - now) / 1000000u + ((deadline - now) % 1000000u != 0);
	return (DWORD)(ms > most ? most : ms);
}

int win_is_past(via_time deadline)
{
	return deadline == VIA_POLL || (deadline != VIA_FOREVER && deadline <= os_now());
}

uint64_t os_process_id(void)
{
	return GetCurrentProcessId();
}

/* The hard cap of the innermost job this process is in, as processors rounded up; 0: none. */
static uint32_t job_cpus(uint32_t n_system)
{
	JOBOBJECT_CPU_RATE_CONTROL_INFORMATION rate;
	const DWORD capped =
		JOB_OBJECT_CPU_RATE_CONTROL_ENABLE | JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP;

	if (!QueryInformationJobObject(NULL, JobObjectCpuRateControlInformation, &rate, sizeof rate,
				       NULL) ||
	    (rate.ControlFlags & capped) != capped || rate.CpuRate == 0 || rate.CpuRate > 10000)
		return 0;
	return (uint32_t)(((uint64_t)rate.CpuRate * n_system + 9999) /
			  10000); /* in 1/100 % of the system */
}

uint32_t os_usable_cpus(void)
{
	DWORD_PTR mine = 0, all = 0;
	uint32_t n, n_system, cap;

	n = n_system = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
	if (GetProcessAffinityMask(GetCurrentProcess(), &mine, &all) && mine != 0) {
		for (n = 0; mine != 0; mine &= mine - 1)
			n++; /* stays as it was where mine is 0: in more than one processor group */
	}
	cap = job_cpus(n_system);
	if (cap != 0 && cap < n)
		n = cap;
	return n == 0 ? 1 : n;
}

void os_yield(void)
{
	(void)SwitchToThread();
}
