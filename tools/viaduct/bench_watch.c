/* tools/viaduct/bench_watch.c - `viaduct bench`: the thread that hears signals and shows how it goes.
 *
 * What is measured pays one relaxed store for it now and then. The lock guards the pointers to what
 * is to be aborted, so that none of them is closed meanwhile; it is taken a few times a row.
 */
#include "bench.h"

#define TURN_NS 500000000u

atomic_int bench_stop;
_Atomic uint64_t bench_ops_so_far;

static struct {
	sys_thread thread;
	int is_started, is_live;
	atomic_int is_done;
	atomic_flag lock;
	/* under the lock */
	const bench_row *row;
	via_time start;
	via_client *client;
	via_session *session;
	int is_shown;
} watch = {.lock = ATOMIC_FLAG_INIT};

static void lock(void)
{
	while (atomic_flag_test_and_set(&watch.lock))
		sys_sleep(10000);
}

static void unlock(void)
{
	atomic_flag_clear(&watch.lock);
}

static void clear_line(void)
{
	static const char text[] = "\r\033[K";

	if (watch.is_shown)
		sys_log(text, sizeof text - 1);
	watch.is_shown = 0;
}

static void show(void)
{
	uint64_t ops = atomic_load_explicit(&bench_ops_so_far, memory_order_relaxed);
	double seconds;
	buf line = {0};

	if (watch.row == NULL || !watch.is_live)
		return;
	seconds = (double)(via_now() - watch.start) / 1e9;
	buf_printf(&line, "\r\033[K%s over %s  %.1f s  %.0f/s", watch.row->scenario->name,
		   watch.row->transport, seconds, (double)ops / seconds);
	if (!line.failed)
		sys_log(line.data, line.len);
	buf_free(&line);
	watch.is_shown = 1;
}

static void stop_all(void)
{
	atomic_store(&bench_stop, 1);
	if (watch.client != NULL)
		via_client_abort(watch.client);
	if (watch.session != NULL)
		via_session_abort(watch.session, VIA_ABORTED);
}

static void run(void *arg)
{
	int what;

	(void)arg;
	while (atomic_load(&watch.is_done) == 0) {
		what = sys_signals_wait_for(TURN_NS);
		lock();
		if (what == SYS_STOP && atomic_load(&watch.is_done) == 0)
			stop_all();
		else if (what != SYS_STOP)
			show();
		unlock();
	}
}

int bench_watch_start(int is_live)
{
	char why[SYS_WHY];

	watch.is_live = is_live;
	watch.is_started = sys_thread_start(&watch.thread, run, NULL, why);
	return watch.is_started ? CLI_OK : cli_fail(CLI_FAILED, "thread: %s", why);
}

void bench_watch_stop(void)
{
	if (!watch.is_started)
		return;
	atomic_store(&watch.is_done, 1);
	sys_signals_post(SYS_REPORT);
	sys_thread_join(&watch.thread);
	watch.is_started = 0;
}

void bench_watch_row(const bench_row *row, via_time start)
{
	lock();
	atomic_store(&bench_ops_so_far, 0);
	watch.row = row;
	watch.start = start;
	clear_line();
	unlock();
}

void bench_watch_link(via_client *c, via_session *s)
{
	lock();
	watch.client = c;
	watch.session = s;
	if (atomic_load(&bench_stop) != 0)
		stop_all();
	unlock();
}
