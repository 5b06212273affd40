/* SPDX-License-Identifier: Apache-2.0
 * tools/viaductd/config.h - the daemon's configuration: strict, with defaults that work.
 *
 * FILE is read first, then every FILE.d/NAME.conf in the order of the names' bytes. A later file
 * may set again what an earlier one set; within one file a section or a key that comes twice is
 * an error. docs/programs.md lists the keys.
 */
#ifndef VIA_TOOLS_CONFIG_H
#define VIA_TOOLS_CONFIG_H
#include "../lib/ini.h"

#include <viaduct/viaduct.h>

#define CONF_WHY 640u
#define CONF_PATH 4096u

enum { CONF_SERVE_ALL = 0, CONF_SERVE_LISTED = 1 };

typedef struct conf_service {
	struct conf_service *next;
	char name[INI_NAME];
	char where[INI_NAME]; /* FILE:LINE of the section, for messages */
	int enabled, has_token;
	uint64_t token;
	uint32_t max_request, max_response;
	char transport[64];
	char profiles[128]; /* as written: names need the registry */
} conf_service;

typedef struct conf_module {
	struct conf_module *next;
	char id[INI_NAME];
	char where[INI_NAME];
	buf lines; /* "key=value\n" */
} conf_module;

typedef struct conf {
	char run_dir[INI_VALUE];     /* "" for the default */
	char module_path[INI_VALUE]; /* "" for the default */
	uint64_t token, drain_ns;
	uint32_t run_dir_mode, workers, pool, max_sessions, policy, load, log_level, serve;
	uint32_t module_policy;
	conf_service *services;
	conf_module *modules;
	uint32_t n_files; /* that were read */
} conf;

/* Defaults. */
void conf_init(conf *c);
/* Adds one text. Returns 1, or 0 with why ("FILE:LINE: ..."). */
int conf_parse(conf *c, const char *file, const char *src, size_t len, char *why);
/* Where the configuration comes from, each time it is read. */
typedef struct conf_source {
	const char *file;    /* NULL: the usual place, where it may be missing */
	const char *run_dir; /* NULL, or in place of what the configuration says */
} conf_source;

/* The usual place. Returns 1, or 0 with why. */
int conf_default_file(char path[CONF_PATH], char *why);
/* Reads everything into a conf that conf_init() has seen. Returns 1, or 0 with why. */
int conf_read(conf *c, const conf_source *from, char *why);
/* Adds FILE and FILE.d. must_exist: FILE has to be there. Returns 1, or 0 with why. */
int conf_load(conf *c, const char *file, int must_exist, char *why);
conf_service *conf_find_service(const conf *c, const char *name);
conf_module *conf_find_module(const conf *c, const char *id);
void conf_free(conf *c);

#endif
