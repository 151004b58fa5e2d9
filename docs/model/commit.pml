/*
 * The commit protocol of concurrent transactions (SPEC.md, chapter 17): validation, rebase, append, publication, group sync, a writer of
 * another process, crash and recovery. docs/model/README.md says what is left out.
 *
 * Four transactions on one log:
 *   0, 1  concurrent: snapshot, validation, rebase; begun again when lost
 *   2     ordinary (IMMEDIATE): reads and writes with the turn
 *   3     foreign: another process, which locks slot 0, commits and publishes by itself
 *
 * Five cells on three pages. A row and its index entry are written together.
 *   page 0: x y     page 1: index entries of x and y     page 2: z
 * The ordinary one may split pages 0 and 1: y moves to page 3, its index entry to page 4.
 */

#define X 1
#define Y 2
#define IX 4
#define IY 8
#define Z 16
#define CELLS 5
/* Behind the split, or where there is none. */
#define IS_SPLIT(at) (splitAt != 0 && (at) >= splitAt)
#define PAGE(cell, at) (((cell) & 1) && IS_SPLIT(at) -> 3 + (cell) / 2 : (cell) / 2)
#define BIT(cells, cell, at) (((cells) >> (cell)) & 1) << PAGE(cell, at)
/* The pages of some cells, as bits, as they are at a position. */
#define PAGES(cells, at) ((BIT(cells, 0, at)) | (BIT(cells, 1, at)) | (BIT(cells, 2, at)) | (BIT(cells, 3, at)) | (BIT(cells, 4, at)))

#define ORDINARY 2
#define FOREIGN 3
#define COUNT 4
#define POSITIONS 5 /* 0 is the empty log */
#define NOBODY 7

/* Slot 0. */
#define FREE 0
#define OURS 1
#define THEIRS 2

/* Transactions that may be lost before one begins with the turn; 3 in the engine. */
#ifndef LOSSES
#define LOSSES 1
#endif

#ifdef WITNESS
#define REACHED(n) assert(WITNESS != n)
#else
#define REACHED(n) skip
#endif

/* The log: who wrote each position, and what the pages hold behind it (0: the beginning, else the writer + 1). */
byte writer[POSITIONS];
byte image[25];
/* The write never came through, though others stand on it: recovery ends here. */
bit hole[POSITIONS];
/* The pages that each commit wrote; the wal-index knows them of every frame. */
byte touched[POSITIONS];
byte splitAt;
byte tip, published;
/* What a power cut leaves at least, and what the queue takes for that. */
byte durable, believed;
/* A sync has failed: the kernel has dropped what it was to write, and will say of the next one that it went well. */
bit droppedByKernel;

/* The queue. */
byte turn = NOBODY, slot0 = FREE;
chan line = [3] of { byte };
/* A sync that runs: who requested it, and the tip at that moment. */
byte leader = NOBODY, target;
bit poisoned;

/* The transactions. */
byte reads[COUNT], writes[COUNT]; /* cells; what is written is read */
bit wantsSync[COUNT];             /* synchronous = FULL, else NORMAL */
byte snapshot[COUNT], position[COUNT], losses[COUNT];
byte began[COUNT]; /* the first snapshot: catching up moves the other one */
bit answered[COUNT], failed[COUNT];
bit notesKeys; /* of the ordinary one */
byte overtakers; /* turns given to others since the ordinary one asked */
bit ordinaryAsks;
#ifdef MUTANT_foreignSeenLate
byte seen[COUNT];
#endif
#ifdef MUTANT_trimOneTooEarly
bit letGo[POSITIONS];
#endif

/* One fault a run: the disk is full, a sync fails, or a statement that waits or leads is dropped (a dropped leader's sync may fail besides). */
bit mayFail = 1;

/* What a validation has found; 0 between steps. */
bit conflict, rebased;
/* Scratch inside one deterministic step, no state. */
hidden byte p, q, c, i, j, pages, looked, value;
hidden byte edges[COUNT];

/* ---- What must hold ---- */

/* Of the commits that are in the log, no set depends on itself: by writes read, writes overwritten, reads that missed a write,
   and real time: whoever was answered before this one began lies within its snapshot (checkSnapshot), and so stands before it. */
inline checkOrder() {
  for (i : 0 .. 3) { edges[i] = 0 }
  for (p : 1 .. tip) {
    for (q : 1 .. tip) {
      i = writer[p]; j = writer[q];
      if
      :: p == q -> skip
      :: else ->
        if
        :: (reads[i] & writes[j]) != 0 && q > began[i] -> edges[i] = edges[i] | (1 << j)
        :: else
        fi;
        if
        :: (writes[i] & reads[j]) != 0 && snapshot[j] >= p -> edges[i] = edges[i] | (1 << j)
        :: else
        fi;
        if
        :: (writes[i] & writes[j]) != 0 && p < q -> edges[i] = edges[i] | (1 << j)
        :: else
        fi;
        if
        :: snapshot[j] >= p -> edges[i] = edges[i] | (1 << j)
        :: else
        fi
      fi
    }
  }
  for (p : 0 .. 3) {
    for (i : 0 .. 3) {
      if
      :: (edges[i] & (1 << p)) != 0 -> edges[i] = edges[i] | edges[p]
      :: else
      fi
    }
  }
  for (i : 0 .. 3) { assert((edges[i] & (1 << i)) == 0) }
  i = 0; j = 0; p = 0; q = 0
}

/* Each cell holds what the last commit that wrote it has put there: no row and no index entry is lost. */
inline checkPages() {
  for (c : 0 .. 4) {
    value = 0;
    for (p : 1 .. tip) {
      if
      :: (writes[writer[p]] & (1 << c)) != 0 -> value = writer[p] + 1
      :: else
      fi
    }
    assert(image[tip * CELLS + c] == value)
  }
  c = 0; p = 0; value = 0
}

/* What recovery finds if the process or the power ends now. All outcomes are looked at on the side; nothing of ours goes on from there, and
   who opens the database next writes behind them. */
inline checkCrash() {
  /* How far the file can be read: a write that never came through ends it. */
  value = 0;
  do
  :: value < tip && !hole[value + 1] -> value++
  :: else -> break
  od;
  for (i : 0 .. 3) {
    if
    :: answered[i] ->
      assert(writer[position[i]] == i);
      /* The process ends and others are alive: they go by the index header. */
      assert(position[i] <= published);
      /* It ends and nobody is: recovery reads the file, which the kernel still has. */
      assert(position[i] <= value);
      /* The power goes, and takes all that it may. */
      assert(!wantsSync[i] || position[i] <= durable)
    :: else
    fi
  }
  if
  :: published > durable -> REACHED(6)
  :: else
  fi;
  i = 0; value = 0
}

/* What a reader gets to see now: a prefix of the log, and no FULL commit that a power cut could take. */
inline checkVisible() {
  assert(published <= tip);
  for (p : 1 .. published) { assert(!wantsSync[writer[p]] || p <= durable) }
  p = 0
}

/* ---- The queue ---- */

inline passTurn(me) {
  turn = NOBODY;
#ifdef MUTANT_releaseWhilePending
  slot0 = FREE
#else
  if
  :: tip == published -> slot0 = FREE
  :: else
  fi
#endif
}

inline publish() {
#ifdef MUTANT_publishBeforeSync
  published = tip;
#endif
  do
  :: published < tip && (!wantsSync[writer[published + 1]] || published + 1 <= believed) -> published++
  :: else -> break
  od;
  if
  :: tip == published && turn == NOBODY && slot0 == OURS -> slot0 = FREE
  :: else
  fi;
  checkVisible();
  checkCrash()
}

/* Asks for the turn and waits for it. */
inline takeTurn(me) {
  atomic {
    line!me;
#ifdef MUTANT_foreignSeenLate
    seen[me] = tip;
#endif
    if
    :: me == ORDINARY -> ordinaryAsks = 1
    :: else
    fi
  };
  atomic {
#ifdef MUTANT_barge
    turn == NOBODY && slot0 != THEIRS;
#else
    turn == NOBODY && slot0 != THEIRS && line?[eval(me)];
#endif
#ifdef MUTANT_barge
    line??eval(me);
#else
    line?eval(me);
#endif
    turn = me;
    slot0 = OURS;
    if
    :: me == ORDINARY -> ordinaryAsks = 0
    :: else ->
      if
      :: ordinaryAsks -> overtakers++
      :: else
      fi
    fi;
    /* Two at most may stand before it. */
    assert(overtakers <= 2)
  }
}

/* Compares with the commits behind the snapshot, by keys where they are known, else by pages. */
inline validate(me, last) {
  conflict = 0; pages = 0;
#ifdef MUTANT_compareFirstCommitOnly
  p = snapshot[me] + 2;
#else
  p = snapshot[me] + 1;
#endif
#ifdef MUTANT_validateWritesOnly
  value = writes[me];
#else
  value = reads[me];
#endif
  looked = PAGES(value, snapshot[me]);
  do
  :: p > last -> break
  :: else ->
    q = writer[p];
    pages = pages | touched[p];
    if
#ifdef MUTANT_foreignSeenLate
    :: q == FOREIGN && p > seen[me]
#endif
#ifdef MUTANT_trimOneTooEarly
    :: letGo[p]
#endif
    :: else ->
      if
      :: q == FOREIGN || (q == ORDINARY && !notesKeys) ->
#ifndef MUTANT_foreignHasNoKeys
        if
        :: (touched[p] & looked) != 0 -> conflict = 1; REACHED(1)
        :: else
        fi
#else
        skip
#endif
      :: else ->
        if
        :: (writes[q] & value) != 0 -> conflict = 1
        :: else
        fi;
#ifndef MUTANT_lookedAtStaysOld
        /* It may have moved to other pages what was read. */
        if
        :: (touched[p] & looked) != 0 -> looked = looked | touched[p]
        :: else
        fi
#endif
      fi
    fi;
    p++
  od;
  /* Nothing that was looked at has changed: the pages go as they are. Else the changes are applied to the tip's. */
  rebased = (pages & PAGES(reads[me], snapshot[me])) != 0;
  p = 0; q = 0; value = 0; pages = 0; looked = 0
}

inline append(me) {
  tip++;
  writer[tip] = me;
  position[me] = tip;
  touched[tip] = PAGES(writes[me], tip);
#ifdef MUTANT_skipRebase
  rebased = 0;
#endif
  for (c : 0 .. 4) {
    value = image[(tip - 1) * CELLS + c];
    if
    :: !rebased && (touched[tip] & (1 << PAGE(c, tip))) != 0 -> value = image[snapshot[me] * CELLS + c]
#ifdef MUTANT_rebaseSkipsIndex
    :: rebased && (PAGE(c, tip) == 1 || PAGE(c, tip) == 4) && (touched[tip] & (1 << PAGE(c, tip))) != 0 -> value = image[snapshot[me] * CELLS + c]
#endif
    :: else
    fi;
    if
    :: (writes[me] & (1 << c)) != 0 -> value = me + 1
    :: else
    fi;
    image[tip * CELLS + c] = value
  }
  c = 0; value = 0;
  if
  :: rebased -> REACHED(2)
  :: else
  fi;
  rebased = 0;
#ifdef MUTANT_trimOneTooEarly
  /* The history is cut behind the oldest snapshot of those that are open, and one commit too far. */
  p = tip;
  for (i : 0 .. 1) {
    if
    :: i != me && position[i] == 0 && snapshot[i] < p -> p = snapshot[i]
    :: else
    fi
  }
  if
  :: p < tip -> letGo[p + 1] = 1
  :: else
  fi;
  i = 0; p = 0;
#endif
#ifndef MUTANT_tipMovesBeforeWrite
  checkPages();
#endif
  checkOrder();
  checkCrash()
}

/* All that is pending fails, now: its positions will be used again. It is broken in the file; whoever has the turn on top of it fails too. */
inline failSync() {
  mayFail = 0; droppedByKernel = 1; leader = NOBODY; target = 0;
#ifndef MUTANT_retryFailedSync
  poisoned = 1;
  for (i : 0 .. 2) {
    if
    :: position[i] > published -> failed[i] = 1; position[i] = 0
    :: else
    fi
  }
  i = 0;
  tip = published;
  if
  :: splitAt > tip -> splitAt = 0
  :: else
  fi;
  if
  :: turn == NOBODY && slot0 == OURS -> slot0 = FREE
  :: else
  fi
#endif
}

/* The answer: published, and durable if that was asked for. */
inline answer(me) {
  answered[me] = 1;
  checkCrash()
}

#ifdef MUTANT_answerUnpublished
#define COVERED(me) (!failed[me] && (!wantsSync[me] || position[me] <= believed))
#else
#define COVERED(me) (!failed[me] && position[me] <= published && (!wantsSync[me] || position[me] <= believed))
#endif
/* Whoever waits leads where nobody does: those whose sync it is may be gone. */
#ifdef MUTANT_onlySyncersLead
#define LEADS(me) (leader == NOBODY && wantsSync[me])
#else
#define LEADS(me) (leader == NOBODY)
#endif

/* Leads a sync: from its request to what follows from its result. */
inline lead(me) {
  if
  :: d_step {
      /* The sync has ended well. */
      if
      :: tip > published + 1 && target == tip -> REACHED(3)
      :: else
      fi;
#ifdef MUTANT_leaderDecides
      if
      :: wantsSync[me] && durable < target -> durable = target
      :: else
      fi;
#else
      if
      :: !droppedByKernel && durable < target -> durable = target
      :: else
      fi;
#endif
#ifdef MUTANT_ackByRunningSync
      believed = tip;
#else
      believed = (believed < target -> target : believed);
#endif
      leader = NOBODY; target = 0;
      publish()
    }
  :: d_step { mayFail ->
      if
      :: tip > published + 1 -> REACHED(4)
      :: else
      fi;
      failSync()
    }
  :: atomic { mayFail ->
      /* Its statement is dropped: the commit stays, the answer is not given. */
      mayFail = 0;
#ifdef MUTANT_leaderTakesWaitersAlong
      goto dead
#endif
#ifdef MUTANT_newLeaderForgetsSync
      if
      :: droppedByKernel = 1
      :: skip
      fi;
      leader = NOBODY; target = 0;
      goto dead
#endif
    };
    /* It stays leader until the result is there. */
    if
    :: d_step {
        if
        :: !droppedByKernel && durable < target -> durable = target
        :: else
        fi;
        believed = (believed < target -> target : believed);
        leader = NOBODY; target = 0;
        publish()
      }
    :: d_step { failSync() }
    fi;
    goto dead
  fi
}

/* A pending commit waits for its answer. */
inline waitForAnswer(me) {
  do
  :: atomic { failed[me] -> break }
  :: d_step { COVERED(me) -> answer(me) }; break
  :: atomic { !failed[me] && !COVERED(me) && LEADS(me) -> leader = me; target = tip };
    lead(me)
  /* Its statement is dropped while it is parked. */
  :: d_step { !failed[me] && !COVERED(me) && mayFail -> mayFail = 0 };
    goto dead
  od
}

/* A snapshot has what was answered before. */
inline checkSnapshot(me) {
  for (i : 0 .. 3) { assert(!answered[i] || position[i] <= snapshot[me]) }
  i = 0
}

proctype Concurrent(byte me) {
again:
  /* Three may stand in line before it, but it loses no more often than that. */
  assert(losses[me] <= LOSSES);
#ifdef MUTANT_neverTakesTheTurn
  if
  :: false -> skip
#else
  if
  :: losses[me] == LOSSES ->
    takeTurn(me);
    atomic {
      if
      :: poisoned -> passTurn(me); goto dead
      :: else
      fi;
      d_step { REACHED(5); snapshot[me] = tip; began[me] = tip; checkSnapshot(me) }
    }
#endif
  :: else ->
    atomic {
      if
      :: poisoned -> goto dead
      :: else
      fi;
      d_step { checkVisible(); snapshot[me] = published; began[me] = published; checkSnapshot(me) }
    };
    /* Catching up without the turn: compared with what is published, it is rebased onto that. */
    if
    :: skip
    :: atomic { published > snapshot[me] && !poisoned ->
        d_step { validate(me, published); rebased = 0 };
        if
        :: conflict -> conflict = 0; losses[me]++; goto again
        :: else ->
          d_step {
            REACHED(7);
#ifdef MUTANT_catchUpTooFar
            snapshot[me] = tip
#else
            snapshot[me] = published
#endif
          }
        fi
      }
    fi;
    takeTurn(me)
  fi;
  atomic {
    if
    :: poisoned -> passTurn(me); goto dead
    :: else
    fi;
    d_step { validate(me, tip) };
    if
    :: conflict ->
      conflict = 0; rebased = 0;
      losses[me]++;
      passTurn(me);
      goto again
    :: else
    fi;
    /* The write, in one step: a part of it counts as nothing. */
    if
    :: d_step { append(me) }
    :: mayFail ->
      mayFail = 0; rebased = 0;
#ifdef MUTANT_tipMovesBeforeWrite
      tip++; writer[tip] = me; hole[tip] = 1;
#endif
      passTurn(me);
      goto dead
    fi
  };
  d_step { passTurn(me); publish() };
  waitForAnswer(me);
dead:
  skip
}

proctype Ordinary() {
  atomic {
    if
    :: poisoned -> goto dead
    :: else
    fi
  };
  takeTurn(ORDINARY);
  /* It reads the tip, which may be pending, and has the turn until it commits. */
  atomic {
    if
    :: poisoned -> passTurn(ORDINARY); goto dead
    :: else
    fi;
    d_step { snapshot[ORDINARY] = tip; began[ORDINARY] = tip; checkSnapshot(ORDINARY) }
  };
  if
  :: atomic {
      if
      :: poisoned -> passTurn(ORDINARY); goto dead
      :: else
      fi;
      if
      :: d_step { rebased = 0; append(ORDINARY) }
      :: notesKeys -> d_step { splitAt = tip + 1; rebased = 0; append(ORDINARY); touched[tip] = 27 }
      fi
    };
    d_step { passTurn(ORDINARY); publish() };
    waitForAnswer(ORDINARY)
  :: d_step { passTurn(ORDINARY) };
    /* It has changed nothing and rolls back. What it has read is given out as true only when it is published. */
#ifndef MUTANT_rollbackAtOnce
    do
    :: atomic { poisoned || published >= snapshot[ORDINARY] -> break }
    :: atomic { !poisoned && published < snapshot[ORDINARY] && leader == NOBODY -> leader = ORDINARY; target = tip };
      lead(ORDINARY)
    od;
    skip;
#endif
    d_step {
      for (p : 1 .. snapshot[ORDINARY]) { assert(poisoned || !wantsSync[writer[p]] || p <= durable) }
      p = 0
    }
  fi;
dead:
  skip
}

/* It goes on top of what is published, whatever lies behind that in the file. */
proctype Foreign() {
end_waiting:
  d_step { slot0 == FREE -> slot0 = THEIRS; snapshot[FOREIGN] = published; began[FOREIGN] = published; checkSnapshot(FOREIGN) };
  d_step {
    tip = published;
    rebased = 0;
    append(FOREIGN);
    published = tip;
    hole[tip] = 0;
    answered[FOREIGN] = 1;
    slot0 = FREE;
    checkVisible();
    checkCrash()
  }
}

init {
  atomic {
    if
    :: /* write skew; the foreign one writes what both read */
      reads[0] = X | Y | IX; writes[0] = X | IX;
      reads[1] = X | Y | IY; writes[1] = Y | IY;
      reads[FOREIGN] = Y | IY; writes[FOREIGN] = Y | IY
    :: /* one hot row; the foreign one writes beside it */
      reads[0] = X | IX; writes[0] = X | IX;
      reads[1] = X | IX; writes[1] = X | IX;
      reads[FOREIGN] = Y | IY; writes[FOREIGN] = Y | IY
    :: /* two rows on one page; the foreign one writes elsewhere */
      reads[0] = X | IX; writes[0] = X | IX;
      reads[1] = Y | IY; writes[1] = Y | IY;
      reads[FOREIGN] = Z; writes[FOREIGN] = Z
    :: /* the same; the foreign one writes one of the rows */
      reads[0] = X | IX; writes[0] = X | IX;
      reads[1] = Y | IY; writes[1] = Y | IY;
      reads[FOREIGN] = Y | IY; writes[FOREIGN] = Y | IY
    :: /* a row read here, one written there; the foreign one writes there */
      reads[0] = X | Z; writes[0] = Z;
      reads[1] = Y | IY; writes[1] = Y | IY;
      reads[FOREIGN] = Z; writes[FOREIGN] = Z
    fi;
    reads[ORDINARY] = X | IX; writes[ORDINARY] = X | IX;
    /* The ordinary one notes its keys for the history, or does not. */
    if
    :: wantsSync[0] = 1; wantsSync[1] = 1; wantsSync[ORDINARY] = 1; notesKeys = 1
    :: wantsSync[0] = 1; wantsSync[ORDINARY] = 1
    :: wantsSync[1] = 1; wantsSync[ORDINARY] = 1; notesKeys = 1
    :: wantsSync[1] = 1
    fi;
    run Concurrent(0); run Concurrent(1); run Ordinary(); run Foreign()
  }
}
