/* tools/viaduct/bench_calls.c - `viaduct bench`: the scenarios, and those of them that are calls one
 * after another.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

/* Numbers of a payload that are looked at, besides both ends: few where looking takes longer than
 * copying. */
#define SAMPLES 8u
#define SMALL 4096u

static int call(bench_run *b, uint16_t method, const void *payload, uint32_t len, via_reply *reply)
{
	const via_request request = {.method = method,
				     .item_count = 1,
				     .payload = payload,
				     .payload_len = len};
	via_rc rc = via_client_call(b->client, &request, b->phase.patience, reply);

	return rc == VIA_OK || bench_fail_rc(b, rc, "a call");
}

/* -- ping-pong ------------------------------------------------------------------------------- */

/* Each answer is the next request: a lost, doubled or mixed-up one breaks the chain. */
static int ping_pong(bench_run *b)
{
	const uint64_t expected = b->value + 1;
	via_reply reply;

	if (!call(b, VIA_INCREMENT_METHOD, &b->value, sizeof b->value, &reply))
		return 0;
	if (via_increment_decode(reply.payload, reply.payload_len, &b->value, NULL) != VIA_OK ||
	    b->value != expected)
		return bench_fail(b, "the counter chain is broken: expected %llu, found %llu",
				  (unsigned long long)expected, (unsigned long long)b->value);
	b->phase.verified++;
	return 1;
}

/* -- snapshot -------------------------------------------------------------------------------- */

static int open_snapshot(bench_run *b)
{
	via_rc rc = via_registry_acquire(b->host->registry, VIA_KIND_CODEC, "cgroups-snapshot", 0,
					 &b->codec);

	return rc == VIA_OK || bench_fail_rc(b, rc, "codec cgroups-snapshot");
}

/* Looks at the name of one item, another one each time. */
static int check_name(bench_run *b, const via_reply *reply)
{
	uint32_t at = (uint32_t)(b->value++ % b->row->max_items);
	via_cgroups_snapshot_view view;
	via_cgroups_item item;

	if (via_cgroups_snapshot_peek(&view, reply->payload, reply->payload_len, NULL) != VIA_OK ||
	    via_cgroups_snapshot_item(&view, at, &item, NULL) != VIA_OK || item.hash != at ||
	    item.name_len < 7 || memcmp(item.name, "bench-", 6) != 0 ||
	    strtoul(item.name + 6, NULL, 10) != at)
		return bench_fail(b, "item %u of the snapshot: its name is not the one expected",
				  at);
	return 1;
}

static int snapshot(bench_run *b)
{
	const via_codec *codec = b->codec.vtable;
	uint8_t request[VIA_CGROUPS_SNAPSHOT_REQUEST];
	via_reply reply;
	uint64_t len;
	via_rc n;

	(void)via_cgroups_snapshot_request_encode(request, sizeof request, &len);
	if (!call(b, VIA_CGROUPS_SNAPSHOT_METHOD, request, (uint32_t)len, &reply))
		return 0;
	n = codec->check(VIA_SIDE_RESPONSE, reply.payload, reply.payload_len, NULL);
	if (n < 0 || (uint32_t)n != b->row->max_items)
		return bench_fail(b, "snapshot: expected %u items, found %d", b->row->max_items,
				  (int)n);
	if (!check_name(b, &reply))
		return 0;
	b->phase.units += (uint32_t)n;
	b->phase.verified++;
	return 1;
}

/* -- payload, and the copy it is compared with ----------------------------------------------- */

static int check_bytes(bench_run *b, const uint8_t *p, uint64_t stamp, uint32_t samples)
{
	const uint32_t bytes = b->row->bytes, n_words = (bytes - 16) / 8;
	uint64_t found = via_bytes_get_u64(p), last = via_bytes_get_u64(p + bytes - 8), at;
	uint32_t i;

	if (found != stamp || last != stamp)
		return bench_fail(b,
				  "payload: expected the stamp %llu at both ends, found %llu "
				  "and %llu",
				  (unsigned long long)stamp, (unsigned long long)found,
				  (unsigned long long)last);
	for (i = 0; i < samples; i++) {
		at = 1 + ((bench_random(&b->random) >> 32) * n_words >> 32);
		found = via_bytes_get_u64(p + at * 8);
		if (found != bench_word(at))
			return bench_fail(b, "payload: at %llu expected %016llx, found %016llx",
					  (unsigned long long)at * 8,
					  (unsigned long long)bench_word(at),
					  (unsigned long long)found);
	}
	b->phase.units += bytes;
	b->phase.verified++;
	return 1;
}

static int payload(bench_run *b)
{
	via_reply reply;

	if (!call(b, VIA_INCREMENT_METHOD, &b->value, sizeof b->value, &reply))
		return 0;
	if (reply.payload_len != b->row->bytes)
		return bench_fail(b, "payload: expected %u bytes, found %u", b->row->bytes,
				  reply.payload_len);
	return check_bytes(b, reply.payload, ++b->value, reply.payload_len < SMALL ? 1 : SAMPLES);
}

static int open_memcpy(bench_run *b)
{
	const uint32_t bytes = b->row->bytes;
	uint32_t i;

	b->from = malloc((size_t)bytes + 8);
	b->to = malloc((size_t)bytes + 8);
	if (b->from == NULL || b->to == NULL)
		return bench_fail(b, "no memory for twice %u bytes", bytes);
	for (i = 0; i < bytes; i += 8)
		via_bytes_put_u64(b->from + i, bench_word(i / 8));
	memset(b->to, 0, bytes);
	return 1;
}

static int copy_memory(bench_run *b)
{
	const uint32_t bytes = b->row->bytes;

	memcpy(b->to, b->from, bytes);
	via_bytes_put_u64(b->to, ++b->value);
	via_bytes_put_u64(b->to + bytes - 8, b->value);
	return check_bytes(b, b->to, b->value, b->value % BENCH_SAMPLE == 0 ? 1 : 0);
}

static void close_memcpy(bench_run *b)
{
	free(b->from);
	free(b->to);
}

/* -- connect, load --------------------------------------------------------------------------- */

static int connect_once(bench_run *b)
{
	if (!bench_connect_session(b))
		return 0;
	bench_disconnect(b);
	b->phase.verified++;
	return 1;
}

static int renew(bench_run *b)
{
	bench_disconnect(b);
	return bench_host_renew(b->host) || bench_fail(b, "%s", b->host->why);
}

static int load_once(bench_run *b)
{
	return bench_connect_client(b) && ping_pong(b);
}

/* -- the list -------------------------------------------------------------------------------- */

const bench_scenario bench_scenarios[] =
	{{.name = "ping-pong",
	  .about = "one call after another, each answer is the next request",
	  .service = "increment",
	  .op = ping_pong,
	  .link = BENCH_CLIENT},
	 {.name = "pipeline",
	  .about = "--depth requests under way",
	  .service = "increment",
	  .open = bench_pipe_open,
	  .close = bench_pipe_close,
	  .link = BENCH_SESSION,
	  .has_depth = 1},
	 {.name = "batch",
	  .about = "--items requests in a message",
	  .service = "increment",
	  .units = "items",
	  .open = bench_pipe_open,
	  .close = bench_pipe_close,
	  .link = BENCH_SESSION,
	  .has_items = 1,
	  .has_batches = 1},
	 {.name = "pipeline-batch",
	  .about = "both",
	  .service = "increment",
	  .units = "items",
	  .open = bench_pipe_open,
	  .close = bench_pipe_close,
	  .link = BENCH_SESSION,
	  .has_depth = 1,
	  .has_items = 1,
	  .has_batches = 1},
	 {.name = "snapshot",
	  .about = "a list of --items control groups, encoded for every call",
	  .service = "cgroups-snapshot",
	  .units = "items",
	  .open = open_snapshot,
	  .op = snapshot,
	  .link = BENCH_CLIENT,
	  .has_items = 1},
	 {.name = "payload",
	  .about = "answers of --bytes, next to memcpy of as many in one process",
	  .service = "bench-payload",
	  .units = "bytes",
	  .op = payload,
	  .link = BENCH_CLIENT,
	  .has_bytes = 1},
	 {.name = "connect",
	  .about = "connect, handshake, close",
	  .service = "increment",
	  .op = connect_once},
	 {.name = "load",
	  .about = "connect and first call, which loads modules: both registries are new",
	  .service = "increment",
	  .prepare = renew,
	  .op = load_once},
	 {.name = NULL}};

const bench_scenario bench_memcpy = {.name = "memcpy",
				     .service = "memcpy",
				     .units = "bytes",
				     .open = open_memcpy,
				     .op = copy_memory,
				     .close = close_memcpy,
				     .link = BENCH_NONE,
				     .has_bytes = 1};
