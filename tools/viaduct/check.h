/* SPDX-License-Identifier: Apache-2.0
 * tools/viaduct/check.h - `viaduct check`: what its groups share.
 *
 * A group is a list of named checks. The groups identity, trust and symbols read the file in the program
 * itself and execute nothing of it; transport runs another program, check-link; each of the others runs
 * in a process of its own, the same program with --child GROUP, which tells its verdicts line by line
 * over its standard output. So a module that crashes or hangs is a failed check and not the end of the
 * report.
 */
#ifndef VIA_TOOLS_CHECK_H
#define VIA_TOOLS_CHECK_H
#include "viaduct.h"

#include "../lib/sys_process.h"

#define CHECK_SENTENCE 440u /* what follows the verdict in a line of the child */
#define CHECK_NAME 128u
#define CHECK_COMPONENTS 16u
#define CHECK_PATH (3u * SYS_PATH)

typedef enum check_verdict { CHECK_PASSED = 0, CHECK_FAILED, CHECK_SKIPPED } check_verdict;
extern const char *const check_verdicts[3];

/* -- check_report.c: where verdicts go ------------------------------------------------------- */

typedef struct check_report {
	enum { CHECK_TO_PEOPLE, CHECK_TO_JSON, CHECK_TO_PARENT } form;
	const char *group;
	char name[CHECK_NAME]; /* of the check that runs; "": none */
	uint32_t n[3];         /* by check_verdict */
	buf out;
	json_writer json;
	int has_heading, has_output; /* of the group */
	int is_brief;                /* for people: what has passed is counted, see tell_brief() */
	int is_expected;             /* what is told next says nothing that is worth a line there */
	char stack[CHECK_NAME];      /* whose checks have passed; "": they are of no stack */
	uint32_t n_passed;           /* and how many, since a line said so */
	const char *copy, *shown_as; /* a path that sentences name otherwise; NULL: none */
} check_report;

void check_report_begin(check_report *r, const char *file, const char *id, const char *version);
void check_group(check_report *r, const char *group);
/* A check of the group begins; what is told next is its verdict. */
void check_begin(check_report *r, const char *fmt, ...) TOOLS_PRINTF(2, 3);
/* It has no verdict: it only made ready for others. */
void check_forget(check_report *r);
/* What was expected and what was found. Any text: it is shown safely. */
void check_tell(check_report *r, check_verdict v, const char *fmt, ...) TOOLS_PRINTF(3, 4);
/* The sums. Returns the exit status. */
int check_report_end(check_report *r);

/* -- what is checked ------------------------------------------------------------------------- */

/* One component, as the identity text says. */
typedef struct check_component {
	uint32_t kind, rev, roles, max_request, max_response;
	char id[64], name[512];
} check_component;

typedef struct check_module {
	char id[64], version[64];
	char reason[CHECK_SENTENCE]; /* why it is refused or shadowed; "" if not */
	check_component component[CHECK_COMPONENTS];
	uint32_t n_components;
	uint32_t state; /* VIA_FILE_*, 0 if the registry has not looked at the file */
} check_module;

/* What the registry says of the file at path. */
void check_look(via_registry *r, const char *path, check_module *out);
/* wanted, number: VIA_KIND_*. */
int check_provides(const check_module *m, uint32_t wanted);
const char *check_kind_name(uint32_t number);

typedef struct check_subject {
	char path[SYS_PATH], dir[SYS_PATH]; /* absolute */
	const char *name;                   /* the last part of path */
	buf data;                           /* the file */
	char copy_dir[SYS_PATH];            /* "" if there is none */
	char copy[SYS_PATH + 128];          /* the same bytes, alone in a directory */
	char module_path[CHECK_PATH];       /* the copy, the file's directory, the given ones */
	check_module module;                /* as the registry sees the copy */
	char distrust
		[CHECK_SENTENCE]; /* why the registry would not load it from where it is; "" if it would */
	int is_accepted;          /* its identity */
} check_subject;

typedef struct check_run {
	check_report report;
	check_subject subject;
	const char *given_path; /* --module-path, or NULL */
	uint32_t timeout_ms;    /* for each check */
	const char *seconds;    /* the same for check-link; NULL: each case has its own */
	int is_verbose;
	int is_unfit; /* group abi has failed */
} check_run;

/* Somebody has asked the program to end. */
extern atomic_int check_stop;

/* -- groups ---------------------------------------------------------------------------------- */

/* Reads the file and makes the copy. Returns CLI_OK, or says why not. */
int check_subject_open(check_run *c, const char *path);
void check_subject_close(check_run *c);
/* Bytes of the path in front of the last part. */
size_t check_dir_length(const char *path);
void check_identity(check_run *c);
/* Fills in subject.distrust. */
void check_look_at_trust(check_run *c);
void check_trust(check_run *c);
void check_symbols(check_run *c);
void check_transport(check_run *c);

/* -- in the child ---------------------------------------------------------------------------- */

typedef struct check_child {
	check_report *report;
	const char *module_path, *file;
	check_module module;
	char left[CHECK_SENTENCE]; /* what the registry has found left behind last; "": nothing */
	int is_verbose;
} check_child;

/* Opens a registry in which the file is the first that provides what it provides. On failure the check
 * that runs has failed. */
int check_open(check_child *c, const via_hooks *hooks, uint32_t load_mode, via_registry **out);
/* Closes it; 0 and a failed check if something is still held. */
int check_close(check_child *c, via_registry *r);
/* via_error(), or what rc means if there is none. */
const char *check_error(via_rc rc);

typedef void check_child_fn(check_child *c);
check_child_fn check_abi, check_lifecycle, check_unload, check_codec, check_service;

/* -- check_values.c: records of any codec ------------------------------------------------------ */

#define CHECK_COLUMNS 32u

/* Fills columns with values; which: another number gives other values, 0 the plainest. */
void check_values(const via_column *columns, uint32_t n, uint64_t which, via_value *out);
/* Encodes a record of n_rows rows. Returns what the codec answered; *used only on VIA_OK. */
via_rc check_encode(const via_codec *c, uint32_t side, uint64_t which, uint32_t n_rows, void *dst,
		    uint64_t cap, uint64_t *used);
/* The first number from *which on that gives a record the codec can carry. 0: none. */
int check_find(const via_codec *c, uint32_t side, uint32_t n_rows, uint64_t *which, void *dst,
	       uint64_t cap, uint64_t *used);
/* Reads every value of a valid record to its last byte. */
void check_read_all(const via_codec *c, uint32_t side, const void *src, uint64_t len,
		    uint32_t n_rows);
/* True if the columns are no more than there is room for. */
int check_fits(const via_codec *c);

#endif
