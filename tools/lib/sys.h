/* SPDX-License-Identifier: Apache-2.0
 * tools/lib/sys.h - what both programs need from the operating system. One file for each system.
 */
#ifndef VIA_TOOLS_SYS_H
#define VIA_TOOLS_SYS_H
#include "buf.h"

#define SYS_PATH 4096u
#define SYS_WHY 256u /* room for a reason */

/* Arguments in UTF-8, standard streams without translation of bytes. */
void sys_init(int *argc, char ***argv);

/* Reads a whole file of at most max bytes; NULL or "-": standard input. Returns 1, 0 if there is
 * no such file, -1 otherwise; why then says so. */
int sys_read(const char *path, uint64_t max, buf *out, char *why);
/* Names in a directory that end with suffix, sorted by bytes, each with a NUL behind it. As
 * sys_read(). */
int sys_list(const char *dir, const char *suffix, buf *names, char *why);

/* -- run directory --------------------------------------------------------------------------- */

typedef struct sys_dir {
	char path[SYS_PATH];
	uint64_t device, file; /* identity of what was made */
	int is_made;           /* by sys_dir_open() */
} sys_dir;

/* Makes the directory if it is missing and tests that nobody else can play with it: no symbolic
 * link, owned by this user or root, not writable by others unless sticky. Returns 1, or 0 with
 * why. */
int sys_dir_open(const char *path, uint32_t mode, sys_dir *out, char *why);
/* Removes the directory if sys_dir_open() made it, it is still that one, and it is empty. */
void sys_dir_close(sys_dir *d);

/* -- being told to stop ---------------------------------------------------------------------- */

enum { SYS_STOP = 1, SYS_REPORT = 2, SYS_RELOAD = 3 };

/* Takes over the signals that stop a program (SIGINT, SIGTERM; console events), SIGUSR1 (a report) and
 * SIGHUP, which means hangup: SYS_STOP or SYS_RELOAD. Before the first thread. Returns 1, or 0 with
 * why. */
int sys_signals_take(int hangup, char *why);
/* Sleeps until one of them comes: SYS_STOP, SYS_REPORT or SYS_RELOAD. */
int sys_signals_wait(void);
/* The same for at most that long: 0 when nothing came. */
int sys_signals_wait_for(uint64_t ns);
/* As if one of them had come from outside: SYS_STOP, SYS_REPORT, SYS_RELOAD. From any thread. */
void sys_signals_post(int what);
/* From now on the next request to stop calls last_words and ends the process with status 1 at
 * once. */
void sys_signals_insist(void (*last_words)(void));
/* Unless the process has ended by itself after that time: last_words, and status 1. For a module that
 * does not let go of its calls. */
void sys_end_within(uint64_t ns, void (*last_words)(void));

/* -- log ------------------------------------------------------------------------------------- */

/* True if standard error goes to the journal ($JOURNAL_STREAM names it). */
int sys_is_journal(void);
/* From now on sys_log() appends to this file, made if it is missing. Again with the same path: the file
 * that has the name now. Returns 1, or 0 with why; then nothing has changed. */
int sys_log_open(const char *path, char *why);
/* Writes to standard error, or to that file, in one piece. From any thread. */
void sys_log(const char *text, size_t len);
/* The time as "2026-01-31T23:59:59.123Z". */
void sys_clock_text(char text[32]);
/* The path without any dependence on the current directory. Returns 1, or 0 with why. */
int sys_full_path(const char *path, char full[SYS_PATH], char *why);

#endif
