/* tests/model/posixshm.pml - publish, sleep and wake of transports/posixshm (docs/wire.md section 10), for
 * exhaustive search by spin.
 *
 * A client calls again and again and stops for good whenever it likes; a server answers. Each direction has
 * one area, a length, a sequence number and a signal word. What a message carries, and how long it is,
 * follows from its number; numbers start over after CYCLE, so that nothing of an earlier message fits a
 * later one. The run has no end of its own, and the search visits every state.
 *
 * Memory: each side's stores wait in a buffer until the process `memory` lets the other one see them: in
 * order (x86), or, with WEAK, in any order except that a release store and stores to one place keep
 * theirs. Loads happen in program order; acquire loads are what guarantees that. FUTEX_WAIT compares and
 * falls asleep in one step; both futex calls wait for an empty buffer, as the kernel's own barriers do.
 *
 * Checked: a message is complete when its number is seen and stays so until it is released; each arrives
 * once, in order; when nothing moves any more, nobody waits for something that is there, and the server
 * has answered. Each macro that is 0 or 1 takes one rule away; the search must then find an error. */
#ifndef DEPTH
#define DEPTH 3 /* of a store buffer */
#endif
#ifndef WEAK
#define WEAK 0
#endif
#ifndef IN_FLIGHT
#define IN_FLIGHT 1 /* requests sent before an answer is waited for */
#endif
#ifndef LENGTH_FIRST
#define LENGTH_FIRST 1 /* sender: length, then sequence */
#endif
#ifndef SEQUENCE_RELEASE
#define SEQUENCE_RELEASE 1 /* the sequence is a release store */
#endif
#ifndef LOAD_SEQUENCE_FIRST
#define LOAD_SEQUENCE_FIRST 1 /* receiver: sequence, then length */
#endif
#ifndef SIGNAL_LAST
#define SIGNAL_LAST 1 /* sender: sequence, then signal */
#endif
#ifndef LOAD_SIGNAL_FIRST
#define LOAD_SIGNAL_FIRST 1 /* receiver: signal, sequence, and only then FUTEX_WAIT */
#endif
#ifndef COMPARE
#define COMPARE 1 /* FUTEX_WAIT sleeps only while the word still holds what was read */
#endif
#ifndef WAKE
#define WAKE 1 /* every message wakes */
#endif

#define CYCLE 4
#define NEXT(n) (((n) + 1) % CYCLE)

/* Message n: what it carries and its length. */
#define CONTENT(n) ((n) + 1)
#define LENGTH(n) (1 + (n) % 2)

#define REQUEST 0
#define RESPONSE 1
#define CLIENT 0
#define SERVER 1

/* -- the region ------------------------------------------------------------------------------------- */

byte area[2];
byte length[2];
byte sequence[2];
byte signal[2];

/* -- for the checks --------------------------------------------------------------------------------- */

bit asleep[2]; /* in FUTEX_WAIT on the signal word of this direction */
byte done[2];  /* number of the last message that was received */
bit stopped;   /* the client wants no more answers */

/* -- stores ------------------------------------------------------------------------------------------ */

/* Places a store can go to, for direction d. */
#define AREA(d) (d)
#define LEN(d) (2 + (d))
#define SEQ(d) (4 + (d))
#define SIGNAL(d) (6 + (d))

typedef buffer {
	byte n;
	byte place[DEPTH];
	byte value[DEPTH];
	bit release[DEPTH]
};
buffer stores[2];

#define FENCE(side) stores[side].n == 0

inline store(side, to, what, is_release)
{
	atomic {
		stores[side].n < DEPTH ->
		stores[side].place[stores[side].n] = to;
		stores[side].value[stores[side].n] = what;
		stores[side].release[stores[side].n] = is_release;
		stores[side].n = stores[side].n + 1
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
	if
	:: stores[b].place[i] < 2 -> area[stores[b].place[i]] = stores[b].value[i]
	:: stores[b].place[i] >= 2 && stores[b].place[i] < 4 ->
		length[stores[b].place[i] - 2] = stores[b].value[i]
	:: stores[b].place[i] >= 4 && stores[b].place[i] < 6 ->
		sequence[stores[b].place[i] - 4] = stores[b].value[i]
	:: else -> signal[stores[b].place[i] - 6] = stores[b].value[i]
	fi;
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
	LET_OUT(CLIENT)
	LET_OUT(SERVER)
	od
}

/* -- verbs ------------------------------------------------------------------------------------------- */

/* out is the number of the message; only this side writes the sequence and the signal of d. */
inline send(side, d, out)
{
	store(side, AREA(d), CONTENT(out), 0);
	if
	:: LENGTH_FIRST -> store(side, LEN(d), LENGTH(out), 0)
	:: else
	fi;
	if
	:: SIGNAL_LAST
	:: else -> store(side, SIGNAL(d), out, 1)
	fi;
	store(side, SEQ(d), out, SEQUENCE_RELEASE);
	if
	:: LENGTH_FIRST
	:: else -> store(side, LEN(d), LENGTH(out), 0)
	fi;
	if
	:: SIGNAL_LAST -> store(side, SIGNAL(d), out, 1)
	:: else
	fi;
	if
	:: WAKE -> atomic { FENCE(side) -> asleep[d] = 0 }
	:: else
	fi
}

/* Waits until the message behind done[d] is there, looks at it, releases it. seen and size are its own. */
inline receive(side, d)
{
	do
	:: if
		:: LOAD_SIGNAL_FIRST -> seen = signal[d]
		:: else
		fi;
		if
		:: LOAD_SEQUENCE_FIRST
		:: else -> size = length[d]
		fi;
		if
		:: sequence[d] != done[d] -> break
		:: else
		fi;
		if
		:: LOAD_SIGNAL_FIRST
		:: else -> seen = signal[d]
		fi;
		atomic {
			FENCE(side) ->
			if
			:: COMPARE && signal[d] != seen
			:: else -> asleep[d] = 1
			fi
		};
end_asleep:	asleep[d] == 0
	od;
	if
	:: LOAD_SEQUENCE_FIRST -> size = length[d]
	:: else
	fi;
	assert(size == LENGTH(NEXT(done[d])) && area[d] == CONTENT(NEXT(done[d])));
	atomic {
		assert(sequence[d] == NEXT(done[d]) && area[d] == CONTENT(NEXT(done[d])));
		done[d] = NEXT(done[d]);
		seen = 0;
		size = 0
	}
}

proctype client()
{
	byte sent, seen, size, more;

	do
	:: more = IN_FLIGHT;
		do
		:: more > 0 -> sent = NEXT(sent); more--; send(CLIENT, REQUEST, sent)
		:: else -> break
		od;
		do
		:: done[RESPONSE] != sent -> receive(CLIENT, RESPONSE)
		:: else -> break
		od
	:: break
	od;
	stopped = 1
}

proctype server()
{
	byte sent, seen, size;

	do
	:: receive(SERVER, REQUEST);
		sent = NEXT(sent);
		send(SERVER, RESPONSE, sent)
	od
}

/* Nothing moves any more: the client has stopped, and the server has nothing left to do. */
proctype at_rest()
{
end:	timeout ->
	assert(stopped != 0 && asleep[RESPONSE] == 0);
	assert(done[REQUEST] == sequence[REQUEST] && done[RESPONSE] == sequence[RESPONSE])
}

init {
	atomic {
		run client();
		run server();
		run at_rest()
	}
}
