/* SPDX-License-Identifier: Apache-2.0
 * tools/check-link/check_link.h - what the parts of the program know of each other. */
#ifndef VIA_CHECK_LINK_H
#define VIA_CHECK_LINK_H
#include "tests/link/rig.h"
#include "tools/lib/sys.h"

#include <core/registry/note.h>

enum { CHECK_PASSED = 0, CHECK_FAILED = 1, CHECK_UNUSABLE = 2 }; /* exit statuses */

/* -- plan.c: which stacks ---------------------------------------------------------------------- */

enum { PLAN_STACKS = 600 }; /* more than 16 components with 32 profiles each need */

/* One transport that somebody else brings. */
typedef struct plan_other {
	char name[RIG_NAME_MAX]; /* "": there is none */
	char file[SYS_PATH];
	int32_t score;
} plan_other;

typedef struct plan {
	const char *file; /* the module under test */
	note module;
	char store[NOTE_MAX];       /* strings of module */
	plan_other baseline, fault; /* from the directory */
	char why[SYS_WHY + SYS_PATH + 512];
} plan;

/* Reads identities and fills rig_stacks and rig_baselines. Executes nothing. file: absolute. dir: where the
 * other modules are, a module path. 1, or 0 with a sentence in why. */
int plan_make(plan *p, const char *file, const char *dir);
/* Maps every module of the plan, in this process. 1, or 0 with a sentence in why. */
int plan_load(plan *p);

/* -- run.c: cases and what became of them ------------------------------------------------------ */

typedef struct run {
	const char *file, *dir; /* for the workers */
	const char *only;       /* pattern; NULL: all */
	double seconds;         /* for each case; 0: what the suite says */
	unsigned failed;
} run;

/* Number of cases that are wanted. */
unsigned run_count(const run *r);
void run_list(const run *r);
/* Loads the modules in a process of its own. 1, or 0 with a sentence. */
int run_try_loading(const run *r, char *why, size_t cap);
/* All of them, as TAP on standard output. An exit status. */
int run_all(run *r);

/* -- place_posix.c, place_windows.c: a directory for what a case makes ------------------------- */

/* 1, or 0 with why. path: "" where none is needed. */
int place_make(char path[RIG_NAME_MAX], char *why);
/* Removes it with everything in it. */
void place_remove(const char *path);

#endif
