/* tests/link/rig_posix.c - POSIX side of the rig. */
#include "rig.h"
#include "rig_os.h"
#include <dirent.h>
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

#define WORD_SLICE (4 * RIG_MS)

const char *rig_dir_parent;

void *rig_image_open(const char *file, char *why, size_t cap)
{
	void *p = dlopen(file, RTLD_NOW | RTLD_LOCAL);

	if (p == NULL)
		snprintf(why, cap, "expected a file that can be loaded, found: %s", dlerror());
	return p;
}

void (*rig_image_symbol(void *image, const char *name))(void)
{
	void *p = dlsym(image, name);
	void (*fn)(void) = NULL;

	memcpy(&fn, &p, sizeof fn);
	return fn;
}

void rig_dir_make(char *buf, size_t cap)
{
	if (rig_dir_parent != NULL)
		snprintf(buf, cap, "%s/XXXXXX", rig_dir_parent);
	else
		snprintf(buf, cap, "/tmp/viaduct-link-XXXXXX");
	cr_assert_not_null(mkdtemp(buf), "no temporary directory");
}

void rig_dir_remove(const char *dir)
{
	cr_assert_eq(rmdir(dir), 0, "the run directory cannot be removed");
}

void rig_system_warm_up(void)
{
	(void)rig_descriptors();
	(void)rig_mappings();
}

via_time rig_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (via_time)t.tv_sec * 1000000000u + (via_time)t.tv_nsec;
}

int rig_sleep(const via_waitobj *o, via_time deadline)
{
	return rig_sleep_any(o, 1, deadline);
}

#if defined(__linux__)
static int word_changed(const via_waitobj *o)
{
	return __atomic_load_n(o->word, __ATOMIC_ACQUIRE) != o->expected;
}

static void sleep_on_word(const via_waitobj *o, via_time ns)
{
	struct timespec t = {.tv_sec = (time_t)(ns / 1000000000u),
			     .tv_nsec = (long)(ns % 1000000000u)};

	(void)syscall(SYS_futex, o->word, FUTEX_WAIT, o->expected, &t, NULL, 0);
}
#else
static int word_changed(const via_waitobj *o)
{
	(void)o;
	cr_assert_fail("a futex word to wait for");
	return 1;
}

static void sleep_on_word(const via_waitobj *o, via_time ns)
{
	(void)o;
	(void)ns;
}
#endif

/* A word and a descriptor at once: on the word, and a look at the descriptor every few milliseconds. */
int rig_sleep_any(const via_waitobj *o, uint32_t n, via_time deadline)
{
	const via_waitobj *word = NULL;
	struct pollfd p[2];
	nfds_t fds = 0;
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (o[i].kind == VIA_WAIT_WORD)
			word = &o[i];
		if (o[i].kind == VIA_WAIT_FD)
			p[fds++] = (struct pollfd){.fd = (int)o[i].handle,
						   .events = (short)o[i].fd_events};
	}
	for (;;) {
		via_time now = rig_now();
		via_time left = now >= deadline ? 0 : deadline - now;
		int ms = word != NULL ? 0 : (int)((left + RIG_MS - 1) / RIG_MS);

		if (fds != 0 && poll(p, fds, ms) > 0)
			return 1;
		if (word == NULL)
			return 0;
		if (word_changed(word))
			return 1;
		if (left == 0)
			return 0;
		sleep_on_word(word, left < WORD_SLICE ? left : WORD_SLICE);
	}
}

void rig_handle_close(const via_handle *h)
{
	close((int)h->value);
}

uint64_t rig_process_id(void)
{
	return (uint64_t)getpid();
}

void rig_signal(const via_waitobj *o)
{
	uint64_t one = 1;

	cr_assert_eq(write((int)o->handle, &one, sizeof one), (ssize_t)sizeof one);
}

static uint32_t count_entries(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	uint32_t n = 0;

	if (d == NULL)
		return 0;
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			n++;
	closedir(d);
	return n;
}

uint32_t rig_descriptors(void)
{
	return count_entries("/proc/self/fd");
}

uint32_t rig_files(const char *dir)
{
	return count_entries(dir);
}

uint32_t rig_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[1024];
	uint32_t n = 0;

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof line, f) != NULL) {
		const char *perms = strchr(line, ' ');

		if (strchr(line, '/') != NULL ||
		    (perms != NULL && strlen(perms) > 5 && perms[4] == 's'))
			n++;
	}
	fclose(f);
	return n;
}

/* -- threads ----------------------------------------------------------------------------------- */

struct rig_thread {
	pthread_t id;
	void (*fn)(void *);
	void *arg;
};

static void *thread_main(void *p)
{
	rig_thread *t = p;

	t->fn(t->arg);
	return NULL;
}

rig_thread *rig_thread_start(void (*fn)(void *), void *arg)
{
	rig_thread *t = malloc(sizeof *t);

	cr_assert_not_null(t);
	t->fn = fn;
	t->arg = arg;
	cr_assert_eq(pthread_create(&t->id, NULL, thread_main, t), 0);
	return t;
}

void rig_thread_join(rig_thread *t)
{
	pthread_join(t->id, NULL);
	free(t);
}

/* -- handles: the write end of a pipe is given away -------------------------------------------- */

void rig_token_make(rig_token *t)
{
	int fd[2];

	cr_assert_eq(pipe(fd), 0);
	t->give = (via_handle){.value = fd[1], .kind = VIA_H_FD};
	t->keep = fd[0];
}

int rig_token_works(const rig_token *t, const via_handle *got)
{
	char c = 0;
	int ok = got->kind == VIA_H_FD && write((int)got->value, "x", 1) == 1 &&
		 read((int)t->keep, &c, 1) == 1 && c == 'x';

	close((int)got->value);
	return ok;
}

int rig_token_is_gone(const rig_token *t)
{
	struct pollfd p = {.fd = (int)t->keep, .events = POLLIN};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

void rig_token_done(rig_token *t)
{
	close((int)t->keep);
}
