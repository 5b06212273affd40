/* tools/lib/sys_posix.c - what both programs need from a POSIX system. */
#include "sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void sys_init(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
}

/* -- files ----------------------------------------------------------------------------------- */

static int read_all(int fd, uint64_t max, buf *out, char *why)
{
	char piece[16384];
	ssize_t n;

	for (;;) {
		n = read(fd, piece, sizeof piece);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			(void)snprintf(why, SYS_WHY, "%s", strerror(errno));
			return -1;
		}
		if (n == 0)
			break;
		buf_put(out, piece, (size_t)n);
		if (out->failed || out->len > max) {
			(void)snprintf(why, SYS_WHY, "more than %llu bytes",
				       (unsigned long long)max);
			return -1;
		}
	}
	return 1;
}

int sys_read(const char *path, uint64_t max, buf *out, char *why)
{
	int fd, rc;

	if (path == NULL || strcmp(path, "-") == 0)
		return read_all(STDIN_FILENO, max, out, why);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		rc = errno == ENOENT ? 0 : -1;
		(void)snprintf(why, SYS_WHY, "%s", strerror(errno));
		return rc;
	}
	rc = read_all(fd, max, out, why);
	(void)close(fd);
	return rc;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int sys_list(const char *dir, const char *suffix, buf *names, char *why)
{
	size_t n = 0, cap = 0, len, end = strlen(suffix), i;
	char **all = NULL, **more;
	struct dirent *e;
	int rc = 1;
	DIR *d;

	d = opendir(dir);
	if (d == NULL) {
		(void)snprintf(why, SYS_WHY, "%s", strerror(errno));
		return errno == ENOENT ? 0 : -1;
	}
	while (rc == 1 && (errno = 0, e = readdir(d)) != NULL) {
		len = strlen(e->d_name);
		if (e->d_name[0] == '.' || len <= end || strcmp(e->d_name + len - end, suffix) != 0)
			continue;
		if (n == cap) {
			cap = cap != 0 ? cap * 2 : 16;
			more = realloc(all, cap * sizeof(*all));
			all = more != NULL ? more : all;
			rc = more != NULL ? 1 : -1;
		}
		if (rc == 1 && (all[n] = strdup(e->d_name)) != NULL)
			n++;
		else
			rc = -1;
	}
	if (rc != 1 || errno != 0) {
		(void)snprintf(why, SYS_WHY, "%s", strerror(errno != 0 ? errno : ENOMEM));
		rc = -1;
	}
	(void)closedir(d);
	if (n != 0)
		qsort(all, n, sizeof(*all), by_bytes);
	for (i = 0; i < n; i++) {
		buf_put(names, all[i], strlen(all[i]) + 1);
		free(all[i]);
	}
	free(all);
	return rc;
}

/* -- run directory --------------------------------------------------------------------------- */

static int check_dir(const char *path, const struct stat *st, char *why)
{
	if (st->st_uid != 0 && st->st_uid != geteuid()) {
		(void)snprintf(why, SYS_WHY,
			       "expected a directory of user %lu or root, it belongs to user %lu",
			       (unsigned long)geteuid(), (unsigned long)st->st_uid);
		return 0;
	}
	if ((st->st_mode & S_IWOTH) != 0 && (st->st_mode & S_ISVTX) == 0) {
		(void)snprintf(
			why, SYS_WHY,
			"mode %04o lets every user replace what is in it: take the right to write "
			"from others, or set the sticky bit",
			(unsigned int)(st->st_mode & 07777));
		return 0;
	}
	(void)path;
	return 1;
}

int sys_dir_open(const char *path, uint32_t mode, sys_dir *out, char *why)
{
	size_t len = strlen(path);
	struct stat st;
	int fd;

	memset(out, 0, sizeof *out);
	while (len > 1 && path[len - 1] == '/')
		len--; /* "dir/" would follow a link */
	if (path[0] != '/' || len >= sizeof out->path) {
		(void)snprintf(why, SYS_WHY, "expected an absolute path of less than %zu bytes",
			       sizeof out->path);
		return 0;
	}
	memcpy(out->path, path, len);
	if (mkdir(out->path, 0700) == 0) {
		out->is_made = 1;
	} else if (errno != EEXIST) {
		(void)snprintf(why, SYS_WHY, "cannot be made: %s", strerror(errno));
		return 0;
	}
	fd = open(out->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP)) {
		(void)snprintf(why, SYS_WHY, "expected a directory, found %s",
			       lstat(out->path, &st) == 0 && S_ISLNK(st.st_mode)
				       ? "a symbolic link"
				       : "something else");
		return 0;
	}
	if (fd < 0 || fstat(fd, &st) != 0 || (out->is_made && fchmod(fd, (mode_t)mode) != 0) ||
	    fstat(fd, &st) != 0) {
		(void)snprintf(why, SYS_WHY, "%s", strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return 0;
	}
	(void)close(fd);
	out->device = (uint64_t)st.st_dev;
	out->file = (uint64_t)st.st_ino;
	if (check_dir(out->path, &st, why))
		return 1;
	sys_dir_close(out);
	return 0;
}

void sys_dir_close(sys_dir *d)
{
	struct stat st;

	if (d->is_made && lstat(d->path, &st) == 0 && (uint64_t)st.st_dev == d->device &&
	    (uint64_t)st.st_ino == d->file)
		(void)rmdir(d->path); /* refuses one that is not empty */
	d->is_made = 0;
}

/* -- being told to stop ---------------------------------------------------------------------- */

static sigset_t taken;
static int hangup_means = SYS_STOP;

int sys_signals_take(int hangup, char *why)
{
	struct sigaction ignore;
	int error;

	hangup_means = hangup;
	memset(&ignore, 0, sizeof ignore);
	ignore.sa_handler = SIG_IGN;
	(void)sigaction(SIGPIPE, &ignore,
			NULL); /* a reader of our log that goes away is no reason to die */
	(void)sigemptyset(&taken);
	(void)sigaddset(&taken, SIGINT);
	(void)sigaddset(&taken, SIGTERM);
	(void)sigaddset(&taken, SIGHUP);
	(void)sigaddset(&taken, SIGUSR1);
	error = pthread_sigmask(SIG_BLOCK, &taken, NULL);
	if (error == 0)
		return 1;
	(void)snprintf(why, SYS_WHY, "pthread_sigmask: %s", strerror(error));
	return 0;
}

static int meaning(int signal_number)
{
	switch (signal_number) {
	case SIGUSR1:
		return SYS_REPORT;
	case SIGHUP:
		return hangup_means;
	default:
		return SYS_STOP;
	}
}

int sys_signals_wait(void)
{
	int signal_number = 0;

	while (sigwait(&taken, &signal_number) != 0)
		;
	return meaning(signal_number);
}

int sys_signals_wait_for(uint64_t ns)
{
	struct timespec t = {.tv_sec = (time_t)(ns / 1000000000),
			     .tv_nsec = (long)(ns % 1000000000)};
	int signal_number = sigtimedwait(&taken, NULL, &t);

	return signal_number < 0 ? 0 : meaning(signal_number);
}

void sys_signals_post(int what)
{
	int signal_number = what == SYS_STOP ? SIGTERM : what == SYS_RELOAD ? SIGHUP : SIGUSR1;

	(void)kill(getpid(), signal_number); /* all threads block it: it stays until one waits */
}

static void *insist(void *arg)
{
	void (**last_words)(void) = arg;

	while (sys_signals_wait() != SYS_STOP)
		;
	if (*last_words != NULL)
		(*last_words)();
	_exit(1);
}

void sys_signals_insist(void (*last_words)(void))
{
	static void (*words)(void);
	pthread_t thread;

	words = last_words;
	if (pthread_create(&thread, NULL, insist, &words) == 0)
		(void)pthread_detach(thread);
}

static struct {
	struct timespec wait;
	void (*last_words)(void);
} limit;

static void *end_at_limit(void *arg)
{
	(void)arg;
	while (nanosleep(&limit.wait, &limit.wait) != 0 && errno == EINTR)
		;
	if (limit.last_words != NULL)
		limit.last_words();
	_exit(1);
}

void sys_end_within(uint64_t ns, void (*last_words)(void))
{
	pthread_t thread;

	limit.wait.tv_sec = (time_t)(ns / 1000000000);
	limit.wait.tv_nsec = (long)(ns % 1000000000);
	limit.last_words = last_words;
	if (pthread_create(&thread, NULL, end_at_limit, NULL) == 0)
		(void)pthread_detach(thread);
}

/* -- log ------------------------------------------------------------------------------------- */

static int log_fd = STDERR_FILENO;

int sys_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char found[48];
	struct stat st;

	if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
		return 0;
	(void)snprintf(found, sizeof found, "%llu:%llu", (unsigned long long)st.st_dev,
		       (unsigned long long)st.st_ino);
	return strcmp(stream, found) == 0;
}

int sys_log_open(const char *path, char *why)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640), failed;

	if (fd >= 0 && log_fd == STDERR_FILENO) {
		log_fd = fd;
		return 1;
	}
	/* in place of the old one: other threads are writing to that number */
	failed = fd < 0 || dup2(fd, log_fd) < 0 || fcntl(log_fd, F_SETFD, FD_CLOEXEC) != 0;
	if (failed)
		(void)snprintf(why, SYS_WHY, "%s", strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	return !failed;
}

void sys_log(const char *text, size_t len)
{
	ssize_t n;

	while (len != 0) {
		n = write(log_fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

void sys_clock_text(char text[32])
{
	struct timespec now;
	struct tm utc;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &utc);
	(void)strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &utc);
	(void)snprintf(text + strlen(text), 8, ".%03uZ",
		       (unsigned int)(now.tv_nsec / 1000000) % 1000u);
}

int sys_full_path(const char *path, char full[SYS_PATH], char *why)
{
	char here[SYS_PATH];

	if (path[0] != '/' && getcwd(here, sizeof here) == NULL) {
		(void)snprintf(why, SYS_WHY, "%s", strerror(errno));
		return 0;
	}
	if (strlen(path) + (path[0] == '/' ? 0 : strlen(here)) + 2 > SYS_PATH) {
		(void)snprintf(why, SYS_WHY, "longer than %u bytes", SYS_PATH - 1);
		return 0;
	}
	(void)snprintf(full, SYS_PATH, "%s%s%s", path[0] == '/' ? "" : here,
		       path[0] == '/' ? "" : "/", path);
	return 1;
}
