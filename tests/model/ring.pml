/* tests/model/ring.pml - publish, sleep and wake of transports/ring, for exhaustive search by spin.
 *
 * Direction d goes from the producer lane of side d to the consumer lane of the other side; with DIRS 2
 * each side has two lanes, which share the side's bell and may ring the other one at once. A ring has
 * LINES lines, a record takes one or two of them. What a record carries is its position, which counts
 * through two laps and starts over, so that nothing of an earlier lap is taken for it; the second line of
 * a long record looks like a commit word. Producers stop for good whenever they like; the run has no end
 * of its own, and the search visits every state.
 *
 * Memory: each lane's stores wait in a buffer until the process `memory` lets the others see them: in
 * order (x86), or, with WEAK, in any order except that a release store and stores to one place keep
 * theirs. A full fence, an atomic exchange and a system call that others answer to wait for an empty
 * buffer. Loads happen in program order; acquire loads are what guarantees that.
 *
 * Checked: a record is complete when its commit word is seen and stays so until it is released; records
 * arrive once, in order, and none that was not sent; when nothing moves any more, everything that was
 * sent has arrived and nobody waits for room. Buffers, ring and bells are bounded by construction.
 *
 * Each macro that is 0 or 1 takes one rule away from the protocol; the search must then find an error. */
#ifndef DIRS
#define DIRS 1
#endif
#ifndef LINES
#define LINES 4
#endif
#ifndef DEPTH
#define DEPTH 3 /* of a store buffer; 0: none, stores are seen at once; only DIRS 1 can have them */
#endif
#ifndef LONGEST
#define LONGEST 2 /* lines of a record */
#endif
#ifndef AHEAD
#define AHEAD 2 /* lines, the one at the tail included, whose first word is cleared when there is time */
#endif
#ifndef LAZY
#define LAZY 2 /* lines given back until the head is published by release() */
#endif
#ifndef WEAK
#define WEAK 0
#endif
#ifndef POLL
#define POLL 0 /* a consumer may also look for ever, without sleeping: then what release() publishes must do */
#endif
#ifndef LIMIT
#define LIMIT 0 /* records of direction 0; 0: none */
#endif
#ifndef LIMIT_1
#define LIMIT_1 LIMIT /* records of direction 1 */
#endif
#ifndef PUBLISH_RELEASE
#define PUBLISH_RELEASE 1 /* the commit word is a release store */
#endif
#ifndef PUBLISH_FENCE
#define PUBLISH_FENCE 1 /* producer: commit word, fence, rx_sleep */
#endif
#ifndef RX_SLEEP_FENCE
#define RX_SLEEP_FENCE 1 /* consumer: rx_sleep and head, fence, tx_sleep and commit word */
#endif
#ifndef HEAD_FENCE
#define HEAD_FENCE 1 /* consumer awake: head, fence, tx_sleep */
#endif
#ifndef TX_SLEEP_FENCE
#define TX_SLEEP_FENCE 1 /* producer: tx_sleep, fence, head */
#endif
#ifndef CLEAR
#define CLEAR 1 /* the word where the next record will start is cleared */
#endif
#ifndef CLEAR_FIRST
#define CLEAR_FIRST 1 /* ... before the record in front of it is published */
#endif
#ifndef SPARE
#define SPARE 1 /* one line stays free */
#endif
#ifndef HEAD_BEFORE_SLEEP
#define HEAD_BEFORE_SLEEP 1 /* a consumer that goes to sleep publishes the head */
#endif
#ifndef DRAIN_ALONE
#define DRAIN_ALONE 1 /* bells are drained only while the side's other lane is not armed */
#endif
#ifndef RING_AGAIN
#define RING_AGAIN 1 /* who rings looks whether the other lane wanted to ring meanwhile */
#endif

#define POSITIONS (2 * LINES)
#define BELLS 2 /* room of the channel; what does not fit is not needed */

/* Places a store can go to; REST is a record's second line, whose first word is bytes like any other. */
#define WORD 0
#define DATA 16
#define REST 32
#define HEAD 48
#define RX_SLEEP 50
#define TX_SLEEP 52

#define LINE(d, p) ((d) * LINES + (p) % LINES)
#define AT(p, n) (((p) + (n)) % POSITIONS)
#define DISTANCE(from, to) (((to) + POSITIONS - (from)) % POSITIONS)

/* Lanes: side 0 has 0, which produces, and 1, which consumes; side 1 has 2 and 3. */
#define PRODUCER(d) (2 * (d))
#define CONSUMER(d) (3 - 2 * (d))
#define SIDE(lane) ((lane) / 2)
#define OTHER(lane) ((lane) ^ 1)

/* -- shared by both sides ------------------------------------------------------------------------ */

byte word[DIRS * LINES];
byte data[DIRS * LINES];
byte head[DIRS];
bit rx_sleep[DIRS];
bit tx_sleep[DIRS];
byte bell[2];

/* -- of one side ----------------------------------------------------------------------------------- */

bit locked[2];
byte ringers[2];
bit armed[4];
#if DEPTH == 0
byte at; /* for the moment of a store */
#endif

/* -- for the checks -------------------------------------------------------------------------------- */

byte sent[DIRS], got[DIRS]; /* positions */
bit no_room[DIRS];          /* the producer sleeps */

/* -- stores ---------------------------------------------------------------------------------------- */

/* Macros, not inlines: what they are given is looked at inside. */
#define VISIBLE(where, what) \
	if \
	:: (where) < DATA -> word[where] = what \
	:: (where) >= DATA && (where) < REST -> data[(where) - DATA] = what \
	:: (where) >= REST && (where) < HEAD -> word[(where) - REST] = 1; data[(where) - REST] = what \
	:: (where) >= HEAD && (where) < RX_SLEEP -> head[(where) - HEAD] = what \
	:: (where) >= RX_SLEEP && (where) < TX_SLEEP -> rx_sleep[(where) - RX_SLEEP] = what \
	:: else -> tx_sleep[(where) - TX_SLEEP] = what \
	fi

#if DEPTH == 0

#define FENCE(lane) true

inline store(lane, to, what, is_release)
{
	atomic {
		at = to;
		VISIBLE(at, what);
		at = 0
	}
}

#else

#define FENCE(lane) stores[lane].n == 0

typedef buffer {
	byte n;
	byte place[DEPTH];
	byte value[DEPTH];
	bit release[DEPTH]
};
buffer stores[4];

inline store(lane, to, what, is_release)
{
	atomic {
		stores[lane].n < DEPTH ->
		stores[lane].place[stores[lane].n] = to;
		stores[lane].value[stores[lane].n] = what;
		stores[lane].release[stores[lane].n] = is_release;
		stores[lane].n = stores[lane].n + 1
	}
}

/* Entry i may leave the buffer now. */
#define SAME(b, i, j) (stores[b].place[i] == stores[b].place[j])
#define MAY_0(b) (stores[b].n > 0)
#if WEAK
#define MAY_1(b) (stores[b].n > 1 && !stores[b].release[1] && !SAME(b, 0, 1))
#define MAY_2(b) (stores[b].n > 2 && !stores[b].release[2] && !SAME(b, 0, 2) && !SAME(b, 1, 2))
#else
#define MAY_1(b) false
#define MAY_2(b) false
#endif

inline perform(b, nth)
{
	i = nth;
	VISIBLE(stores[b].place[i], stores[b].value[i]);
	do
	:: i + 1 < stores[b].n ->
		stores[b].place[i] = stores[b].place[i + 1];
		stores[b].value[i] = stores[b].value[i + 1];
		stores[b].release[i] = stores[b].release[i + 1];
		i++
	:: else -> break
	od;
	stores[b].place[i] = 0;
	stores[b].value[i] = 0;
	stores[b].release[i] = 0;
	stores[b].n = i;
	i = 0
}

#define LET_OUT(b) \
	:: d_step { MAY_0(b) -> perform(b, 0) } \
	:: d_step { MAY_1(b) -> perform(b, 1) } \
	:: d_step { MAY_2(b) -> perform(b, 2) }

active proctype memory()
{
	byte i;

end:	do
	LET_OUT(PRODUCER(0))
	LET_OUT(CONSUMER(0))
	od
}

#endif

/* -- bells ----------------------------------------------------------------------------------------- */

inline send_bell(to)
{
	atomic {
		if
		:: bell[to] < BELLS -> bell[to] = bell[to] + 1
		:: else
		fi
	}
}

/* The side's baseline is used by one lane at a time. n is the lane's own. */
inline ring(lane)
{
#if DIRS == 2
	atomic {
		FENCE(lane) ->
		n = ringers[SIDE(lane)];
		ringers[SIDE(lane)] = n + 1
	};
	if
	:: n == 0 ->
		do
		:: n = ringers[SIDE(lane)];
			send_bell(1 - SIDE(lane));
			atomic {
				FENCE(lane) ->
#if RING_AGAIN
				if
				:: ringers[SIDE(lane)] == n -> ringers[SIDE(lane)] = 0; n = 0
				:: else
				fi
#else
				ringers[SIDE(lane)] = 0;
				n = 0
#endif
			};
			if
			:: n == 0 -> break
			:: else
			fi
		od
	:: else -> n = 0
	fi
#else
	send_bell(1 - SIDE(lane))
#endif
}

/* Somebody may sleep on what was just published. What others cannot tell apart is one step here: a fence
 * and the load behind it, a load and what is decided by it. */
inline wake(lane, flag, fenced)
{
	atomic {
		if
		:: fenced -> FENCE(lane)
		:: else
		fi;
		n = flag
	};
	if
	:: n != 0 ->
		atomic { FENCE(lane) -> n = flag; flag = 0 };
		if
		:: n != 0 -> n = 0; ring(lane)
		:: else
		fi
	:: else
	fi
}

inline mark_armed(lane)
{
	atomic { locked[SIDE(lane)] == 0 -> locked[SIDE(lane)] = 1 };
	if
	:: DRAIN_ALONE && armed[OTHER(lane)] != 0
	:: else ->
		do
		:: atomic { bell[SIDE(lane)] > 0 -> bell[SIDE(lane)] = bell[SIDE(lane)] - 1 }
		:: bell[SIDE(lane)] == 0 -> break
		od
	fi;
	atomic { armed[lane] = 1; locked[SIDE(lane)] = 0 }
}

inline disarm(lane, flag)
{
	store(lane, flag, 0, 0);
	atomic { locked[SIDE(lane)] == 0 -> armed[lane] = 0 }
}

/* -- producer -------------------------------------------------------------------------------------- */

#define FREE(d) (LINES - DISTANCE(seen, sent[d]))
#define ROOM(d) (FREE(d) >= span + SPARE)

inline load_head(d)
{
	seen = head[d];
	assert(DISTANCE(seen, sent[d]) <= LINES)
}

inline write_record(d)
{
	store(PRODUCER(d), DATA + LINE(d, sent[d]), sent[d], 0);
	if
	:: span == 2 -> store(PRODUCER(d), REST + LINE(d, sent[d] + 1), sent[d], 0)
	:: else
	fi;
	if
	:: CLEAR && CLEAR_FIRST && clear <= span ->
		store(PRODUCER(d), WORD + LINE(d, sent[d] + span), 0, 0);
		clear = span + 1
	:: else
	fi;
	atomic {
		store(PRODUCER(d), WORD + LINE(d, sent[d]), span, PUBLISH_RELEASE);
		sent[d] = AT(sent[d], span);
		clear = (clear > span -> clear - span : 0);
		span = 0
	}
}

/* Off the way of the record, as far as it likes. */
inline clear_ahead(d)
{
	do
	:: CLEAR && clear < AHEAD && clear < FREE(d) ->
		store(PRODUCER(d), WORD + LINE(d, sent[d] + clear), 0, 0);
		clear++
	:: break
	od
}

proctype producer(byte d)
{
	byte span, seen, n;
	byte clear = 1;
#if LIMIT
	byte made;
#endif

next:	atomic {
#if LIMIT
		if
		:: made == (d == 0 -> LIMIT : LIMIT_1) -> goto end_stopped
		:: else -> made++
		fi;
#endif
		if
		:: span = 1
		:: LONGEST == 2 -> span = 2
		:: goto end_stopped
		fi
	};
look:	atomic {
		if
		:: ROOM(d) -> goto write
		:: else -> load_head(d)
		fi;
		if
		:: ROOM(d) -> goto write
		:: else
		fi
	};
	mark_armed(PRODUCER(d));
	store(PRODUCER(d), TX_SLEEP + d, 1, 0);
	atomic {
		if
		:: TX_SLEEP_FENCE -> FENCE(PRODUCER(d))
		:: else
		fi;
		load_head(d);
		if
		:: ROOM(d) -> goto awake
		:: else -> no_room[d] = 1
		fi
	};
end_sleep:
	atomic { bell[SIDE(PRODUCER(d))] > 0 -> no_room[d] = 0 };
awake:	disarm(PRODUCER(d), TX_SLEEP + d);
	goto look;
write:
#if DEPTH == 0
	atomic { write_record(d) };
#else
	write_record(d);
#endif
	wake(PRODUCER(d), rx_sleep[d], PUBLISH_FENCE);
	clear_ahead(d);
	goto next;
end_stopped:
	false
}

/* -- consumer -------------------------------------------------------------------------------------- */

/* What is at the read position is what was sent from there. */
inline check(d)
{
	assert(span <= LONGEST);
	assert(data[LINE(d, got[d])] == got[d]);
	assert(span == 1 || data[LINE(d, got[d] + 1)] == got[d])
}

inline publish_head(d)
{
	atomic {
		store(CONSUMER(d), HEAD + d, got[d], 1);
		told = got[d]
	}
}

proctype consumer(byte d)
{
	byte span, told, n;

next:	atomic {
		span = word[LINE(d, got[d])];
		if
		:: span == 0 -> goto nothing
		:: else -> check(d)
		fi
	};
	atomic {
		check(d); /* the last look; then it is released */
		got[d] = AT(got[d], span);
		span = 0;
		if
		:: DISTANCE(told, got[d]) >= LAZY
		:: else -> goto next
		fi
	};
	publish_head(d);
	wake(CONSUMER(d), tx_sleep[d], HEAD_FENCE);
	goto next;
nothing:
	if
	:: true
#if POLL
	:: goto end_poll
#endif
	fi;
	mark_armed(CONSUMER(d));
	store(CONSUMER(d), RX_SLEEP + d, 1, 0);
	if
	:: HEAD_BEFORE_SLEEP && told != got[d] -> publish_head(d)
	:: else
	fi;
	wake(CONSUMER(d), tx_sleep[d], RX_SLEEP_FENCE); /* one fence for both */
	atomic {
		if
		:: word[LINE(d, got[d])] != 0 -> goto awake
		:: else
		fi
	};
end_sleep:
	bell[SIDE(CONSUMER(d))] > 0;
awake:	disarm(CONSUMER(d), RX_SLEEP + d);
	goto next;
#if POLL
end_poll:
	word[LINE(d, got[d])] != 0;
	goto next
#endif
}

/* -- the end ----------------------------------------------------------------------------------------- */

/* Everybody sleeps or has stopped, and all stores have been seen. */
proctype at_rest()
{
end:	timeout ->
	assert(got[0] == sent[0] && no_room[0] == 0);
#if DIRS == 2
	assert(got[1] == sent[1] && no_room[1] == 0);
#endif
	assert(ringers[0] == 0 && ringers[1] == 0)
}

init {
	atomic {
		run producer(0);
		run consumer(0);
#if DIRS == 2
		run producer(1);
		run consumer(1);
#endif
		run at_rest()
	}
}
