/* SPDX-License-Identifier: Apache-2.0
 * core/registry/reg.h - the registry's own structures; private to this directory.
 *
 * Locks, in the order they are taken:
 *   generation.ctl  the control lane of one module; module code runs under it
 *   registry.lock   files, directories, configuration, states. No I/O and no module code runs
 *                   under it, and no callbacks but via_registry_files()' and reg_transports()'
 *   registry.pins   pins and holds
 *   generation.mem  the module's blocks
 *
 * A module's entry, init and so on run without any of the registry's locks; the file's `busy`
 * keeps others away meanwhile, and who needs the file waits on `changed`. */
#ifndef VIA_CORE_REG_H
#define VIA_CORE_REG_H
#include "../os/os.h"
#include "image.h"
#include "builtin.h"
#include "lock.h"
#include "note.h"
#include "registry.h"

enum { REG_PATH_MAX = 4096, REG_FILES_MAX = 4096 };

/* An identity text that was read. Kept until the registry closes, equal texts once, so that
 * strings of it may be lent without counting. */
typedef struct reg_note {
	struct reg_note *next;
	note n;
	uint64_t len;
	char *raw; /* len bytes as read; followed by len bytes that n points into */
} reg_note;

enum { REG_IDLE, REG_LOADING, REG_UNLOADING };

typedef struct reg_gen reg_gen;

/* One file looked at, or one builtin. */
typedef struct reg_file {
	struct reg_file *next;       /* in search order */
	const core_builtin *builtin; /* NULL: a file */
	char *path;                  /* "(builtin)" for a builtin */
	const char *label;           /* file name, for sentences */
	uint32_t dir;                /* number of its directory */
	os_file_id id;               /* as last read */
	reg_note *note;              /* as last read; may be set in a refused file too */
	via_rc rc;                   /* VIA_OK, or why it is refused */
	char *reason;                /* behind rc; may be NULL */
	char *load_reason;           /* of the last failed load; may be NULL */
	struct reg_file *winner;     /* shadowed by */
	const char *winner_id;       /* for which id */
	reg_gen *gen;                /* loaded and usable */
	struct reg_file *waits_for;  /* its load waits for the load of */
	uint32_t busy;               /* REG_* */
	uint32_t draining;           /* UNLOADING, and it takes time */
	uint32_t users;              /* threads that keep a pointer over a gap in the lock */
	uint32_t n_loads;            /* generations so far */
	uint32_t n_tries;            /* loads that ended, well or not */
	via_rc load_rc;              /* how the last one ended */
	uint32_t retired;            /* the last generation's code is still mapped */
	uint32_t vanished;           /* no longer in its directory */
	uint32_t is_news;            /* it came, went, or is refused or not since the last scan */
} reg_file;

typedef struct reg_dir {
	char *path;
	char *reason;  /* why it could not be listed, or NULL */
	os_file_id id; /* before it was last listed */
	int exists;
	int is_unknown; /* it is there and could not be listed: its files stay as they were */
	via_time since; /* when it became what id says, as far as is known */
	via_time listed;
} reg_dir;

typedef struct reg_config {
	struct reg_config *next;
	char *id, *text;
} reg_config;

/* A reference: what via_ref.token names. */
typedef struct reg_ref {
	reg_pin pin;                 /* on the generation */
	struct reg_ref *next, *prev; /* in the list of the module that took it */
	reg_gen *by;                 /* the module that took it; NULL: the program */
	const char *id;              /* component id */
	char what[96];
} reg_ref;

typedef struct reg_component {
	const void *vtable; /* of note.provides[i] */
} reg_component;

struct reg_gen {
	via_host host;
	via_sysgate gate;
	via_registry *reg;
	reg_file *file;
	reg_note *note; /* read from the image itself */
	os_file_id id;
	os_image *image; /* NULL: builtin */
	const via_module_desc *desc;
	void *self;
	reg_component component[NOTE_PROVIDES_MAX];
	os_mutex ctl;
	os_mutex mem;
	struct host_block *blocks;
	uint64_t n_blocks, n_bytes;
	int was_run; /* init() was called */
	/* Under registry.pins */
	reg_pin pins, module_pins; /* list heads: held by the program, by other modules */
	uint32_t n_pins, n_module_pins;
	uint32_t n_own_pins; /* host->pin */
	reg_ref refs;        /* list head: what it holds of others */
	struct reg_gen *next_singleton;
	struct reg_gen *next_end; /* while the registry closes */
	uint32_t ordered;
};

struct via_registry {
	core_env env;
	uint32_t load_mode, policy, module_policy;
	volatile int32_t log_level;
	via_log_fn log;
	void *log_arg;
	char *path;
	const core_builtin *builtins;
	struct pending_table *pending;
	os_mutex lock;
	os_cond changed; /* a file's busy or draining, scanning */
	os_mutex pins;
	os_cond unpinned;
	reg_dir *dirs;
	uint32_t n_dirs;
	uint32_t scanning;
	uint32_t is_open;   /* what a scan finds from now on is news */
	uint32_t verifies;  /* scans compare digests, since somebody asked for that */
	uint32_t n_refused; /* files of the last scan */
	via_time looked;    /* when reg_refresh() last had a reason to */
	uint32_t closing;
	reg_file *files;
	reg_note *notes;
	reg_config *configs;
	reg_pin holds; /* list head */
	uint32_t n_holds;
};

/* What is looked for. BY_PROFILE: a transport in a role, serving the profile bit unless that is
 * 0. */
enum { REG_BY_NAME, REG_BY_METHOD, REG_BY_PROFILE, REG_BY_MODULE };
typedef struct reg_want {
	uint32_t by, kind;
	const char *name;
	uint32_t min_rev, method, profile, role;
} reg_want;

/* Components that were tried and are not to be found again. */
enum { REG_TRIED_MAX = 16 };
typedef struct reg_tried {
	const reg_file *file[REG_TRIED_MAX];
	uint32_t i[REG_TRIED_MAX];
	uint32_t n;
} reg_tried;

static inline const char *reg_name(const reg_file *f)
{
	return f->builtin != NULL ? f->label : f->path;
}

/* -- registry.c -------------------------------------------------------------------------------- */
via_rc reg_open(const via_registry_options *options, const core_builtin *builtins,
		via_registry **out);
void reg_set_text(via_registry *r, char **slot, const char *text);    /* a copy, or NULL */
void reg_set_reason(via_registry *r, const reg_file *f, char **slot); /* from via_error() */
void reg_file_free(via_registry *r, reg_file *f);
void reg_free(via_registry *r);

/* -- scan.c ------------------------------------------------------------------------------------ */
via_rc reg_note_new(const core_env *e, const char *text, uint64_t len, reg_note **out);
reg_note *reg_note_keep(via_registry *r,
			reg_note *n); /* lock held; takes n, returns it or its equal */
via_rc reg_note_read(const core_env *e, const image_source *s, reg_note **out);
/* Scans; lock not held. 1: scanned, 0: nothing to do. */
enum {
	REG_SCAN_CHANGED, /* only if something may have changed */
	REG_SCAN_ALWAYS,
	REG_SCAN_VERIFY, /* always, and compares digests where locks count */
};
via_rc reg_scan(via_registry *r, int how);

/* -- index.c: all with the lock held ----------------------------------------------------------- */
void reg_index(via_registry *r);                              /* who shadows whom */
const note *reg_active(const reg_file *f);                    /* what it offers now, or NULL */
int reg_match(const reg_want *w, const note *n, uint32_t *i); /* rank, 0 for no */
reg_file *reg_find(via_registry *r, const reg_want *w, const reg_tried *tried, uint32_t *i);
uint32_t reg_state(const reg_file *f); /* VIA_FILE_* */

/* -- why.c: sentences; with the lock held ------------------------------------------------------ */
void reg_want_text(const reg_want *w, char *buf, uint32_t cap);
via_rc reg_not_found(via_registry *r, const reg_want *w);
const char *reg_why(const reg_file *f, char *buf,
		    uint32_t cap); /* "" when there is nothing to say */

/* -- acquire.c --------------------------------------------------------------------------------- */
via_rc reg_acquire(via_registry *r, const reg_want *w, reg_gen *by, via_ref *out);
void reg_ref_free(via_registry *r, reg_ref *ref);

/* -- load.c: lock held, released meanwhile ----------------------------------------------------- */
/* Makes f loaded. VIA_AGAIN: look again, something changed while it waited. */
via_rc reg_ensure(via_registry *r, reg_file *f, const reg_want *w, reg_gen *by);
void gen_free(reg_gen *g, int keep_mapped);

/* -- gate.c: descriptor against note and ABI; fills g->component ------------------------------- */
via_rc gate_check(reg_gen *g, const via_module_desc *d);
/* -- vtable.c: one component's table against what its kind must have --------------------------- */
via_rc vtable_check(const note_component *c, const void *vtable);

/* -- lifecycle.c ------------------------------------------------------------------------------- */
via_rc life_start(reg_gen *g, const char *config); /* init, start */
/* pause, drain, pins; resumes on failure. but_modules: pins of other modules do not count */
via_rc life_drain(reg_gen *g, via_time deadline, int but_modules);
void life_resume(reg_gen *g);
/* stop, fini. VIA_STATE: finished, but something was left behind; any other error: goes on. */
via_rc life_finish(reg_gen *g);
void life_end(reg_gen *g, via_rc finished); /* frees g, its code too where allowed */
via_rc life_unload(via_registry *r, reg_file *f,
		   via_time deadline); /* lock held, released meanwhile */

/* -- singleton.c: modules that may serve one registry of a process only ------------------------ */
via_rc singleton_claim(reg_gen *g);
void singleton_drop(reg_gen *g);

/* -- host.c ------------------------------------------------------------------------------------ */
void host_init(reg_gen *g);
void host_reclaim(reg_gen *g); /* frees what the module left */

/* -- pins.c ------------------------------------------------------------------------------------ */
void pin_add(reg_gen *g, reg_pin *pin, const char *what, int by_module);
void pin_del(via_registry *r, reg_pin *pin, int by_module);
uint32_t pins_count(const reg_gen *g, int but_modules); /* registry.pins held */
via_rc pins_refuse(reg_gen *g, int but_modules); /* names the longest-standing holder; VIA_BUSY */

#endif
