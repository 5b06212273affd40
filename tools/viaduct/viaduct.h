/* SPDX-License-Identifier: Apache-2.0
 * tools/viaduct/viaduct.h - the commands of the program `viaduct`, and what they share.
 */
#ifndef VIA_TOOLS_VIADUCT_H
#define VIA_TOOLS_VIADUCT_H
#include "../lib/cli.h"
#include "../lib/json.h"
#include "../lib/opt.h"

#include <viaduct/viaduct.h>

#define INPUT_MAX 67108864u /* bytes that decode and encode read, and that encode writes */

/* One command: argv[0] is the first word behind its name. Returns the exit status. */
typedef int command_fn(int argc, char **argv);
command_fn cmd_call, cmd_serve, cmd_bench, cmd_modules, cmd_check, cmd_decode, cmd_encode,
	cmd_version;

/* Prints usage, text and options of a command to standard output. Returns the exit status. */
int print_help(const char *usage, const char *text, const opt *options);
/* What a command says to a bad option. */
int bad_option(const char *command, const opt_parser *p);

/* Opens a registry that logs to standard error when verbose. module_path: NULL for the default. */
int open_registry(const char *module_path, int verbose, via_registry **out);
/* What such a registry logs with; arg is not used. */
void log_to_stderr(void *arg, int32_t level, const char *origin, const char *text);
/* The same with these options; its log is set here. */
int open_registry_with(via_registry_options *options, int verbose, via_registry **out);

/* -- kinds.c: what decode and encode know of the wire ---------------------------------------- */

enum { KIND_FIXED = 1, KIND_BATCH = 2, KIND_RECORD = 3 };

typedef struct kind {
	uint32_t type;             /* KIND_* */
	const struct fixed *fixed; /* FIXED */
	uint32_t n_items;          /* BATCH */
	uint32_t side;             /* RECORD: VIA_SIDE_* */
	const via_codec *codec;    /* RECORD */
	via_registry *registry;    /* RECORD: holds the codec */
	via_ref ref;
} kind;

/* Reads a KIND, loads the codec if it is one. Returns CLI_OK, or says why not. */
int kind_open(const char *text, const char *module_path, kind *out);
void kind_close(kind *k);
/* Checks bytes and writes them as JSON. Returns CLI_OK, or CLI_FAILED with why. */
int kind_decode(const kind *k, const void *src, size_t len, json_writer *w, text_error *why);
/* The opposite. why->line is 0 when the fault is not at one place. */
int kind_encode(const kind *k, json_doc *doc, buf *out, text_error *why);

/* "expected EXPECTED, found NODE" for a node. Returns 0. */
int wrong_node(const json_node *node, const char *path, const char *expected, text_error *why);
/* The bytes of a string node, or of {"hex": "..."}; 0 with why. */
int node_bytes(json_doc *doc, const json_node *node, const char *path, const void **out,
	       size_t *len, text_error *why);
/* Every member of an object must be one of names. 0 with why. */
int known_members(const json_node *object, const char *path, const char *const *names, size_t n,
		  text_error *why);

/* -- record.c: a codec's records ------------------------------------------------------------- */

/* {"head": {...}, "rows": [...]}; rows only if the record can have them. n_rows from
 * codec->check(). */
void record_write(const via_codec *c, uint32_t side, const void *src, size_t len, uint32_t n_rows,
		  json_writer *w);
/* Builds a record from that. */
int record_read(const via_codec *c, uint32_t side, json_doc *doc, buf *out, text_error *why);
/* Builds a request from words: head columns, then rows. CLI_OK, or says why not. */
int record_from_words(const via_codec *c, int argc, char **argv, buf *out);
/* For people: a lone value, or the head's values and the rows as a table. */
void record_show(const via_codec *c, uint32_t side, const void *src, size_t len, uint32_t n_rows,
		 buf *out);
/* "value (u64)", ... */
void record_columns(const via_column *columns, uint32_t n, buf *out);

/* -- explain.c: why it is as it is ----------------------------------------------------------- */

/* Profiles of a session: offered, selected, why not the others. NULL: none was reached. */
void explain_session(via_session *s, buf *out);
/* Every file that was refused, with its reason; and that no file here is a transport to change to. */
void explain_modules(via_registry *r, buf *out);
/* Which files were looked at for a service and its codec, and why they were refused. is_tried:
 * also loads the service's module here, to see what a server may have met. */
void explain_files(via_registry *r, const char *service, int is_tried, buf *out);
/* Lists a mask as its bits: "0x1 0x2"; "none". */
void explain_mask(uint32_t mask, buf *out);

#endif
