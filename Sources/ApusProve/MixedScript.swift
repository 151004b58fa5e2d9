// What MixedWorker.swift does, for Python's apsw: SQLite at its newest, as a process of its own that shares no code with ours.

enum MixedScript {
  static let text = #"""
    import apsw, os, random, sys, time
    path, writer, seed, journal = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    accounts, balance, kept = (int(word) for word in sys.argv[5:8])
    chance = random.Random(seed)

    def say(text): os.write(1, (text + "\n").encode())

    def nap(most): time.sleep(chance.random() * most)

    class Wrong(Exception): pass

    def pause():
        try:
            with open(path + ".pause") as file: return file.read()
        except OSError: return ""

    def open_():
        db = apsw.Connection(path)
        return db

    def configure(db):
        db.set_busy_timeout(chance.choice([0, 1, 20, 1000]))
        text = "PRAGMA cache_size=%d; PRAGMA synchronous=%s; PRAGMA wal_autocheckpoint=%d" % (
            chance.choice([10, 50, 1000]), chance.choice(["normal", "full", "off"]), chance.choice([20, 200, 1000]))
        eventually(lambda: db.execute(text).fetchall())

    def isBusy(error): return isinstance(error, (apsw.BusyError, apsw.ProtocolError))

    def eventually(body):
        while True:
            try: return body()
            except apsw.Error as error:
                if not isBusy(error): raise
                nap(0.002)

    def rollback(db):
        try: db.execute("ROLLBACK")
        except apsw.Error: pass

    def attempt(db, body):
        try:
            body()
            return True
        except apsw.Error as error:
            if not isBusy(error): raise
            rollback(db)
            nap(0.0015)
            return False

    def one(db, sql): return db.execute(sql).fetchall()[0][0]

    def counter(db): return one(db, "SELECT n FROM counters WHERE writer = %d" % writer)

    def check(db):
        money = db.execute("SELECT sum(balance), count(*) FROM accounts").fetchall()
        if money != [(accounts * balance, accounts)]: raise Wrong("accounts: %r" % money)
        scanned = {row[0]: row for row in db.execute("SELECT writer, max(n), sum(v), count(*) FROM "
            "(SELECT +writer AS writer, n, v, pad FROM t) GROUP BY writer").fetchall()}
        for row in db.execute("SELECT writer, n, total FROM counters").fetchall():
            table = scanned.get(row[0], (row[0], 0, 0, 0))
            if row != table[:3]: raise Wrong("counters say %r, the table %r" % (row, table))
            indexed = db.execute("SELECT count(*), max(n) FROM t WHERE writer = %d" % row[0]).fetchall()
            if table[3] and indexed != [(table[3], table[1])]: raise Wrong("the index says %r, the table %r" % (indexed, table))

    def pad(writer, n, value):
        size = (value * 7919 + n * 13 + writer) % (9000 if value % 10 == 0 else 200)
        unit = "%d:%d:%d;" % (writer, n, value)
        return (unit * (size // len(unit) + 1))[:size]

    def checkPads(db):
        for row in db.execute("SELECT writer, n, v, pad FROM t").fetchall():
            if row[3] != pad(*row[:3]): raise Wrong("the pad of %r is wrong: %r" % (row[:3], row[3][:40]))

    def work():
        db = open_()
        configure(db)
        number = eventually(lambda: counter(db))
        say("S %d" % number)
        while True:
            rest = pause()
            if rest:
                say("P " + rest)
                while pause() == rest: time.sleep(0.005)
            kind = chance.randrange(100)
            if kind < 55:
                rows = 40 + chance.randrange(150) if chance.randrange(40) == 0 else 1 + chance.randrange(4)
                begin = chance.choice(["BEGIN", "BEGIN IMMEDIATE", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
                isUndone = chance.randrange(12) == 0
                def change():
                    db.execute(begin)
                    found = counter(db)
                    if found != number: raise Wrong("the counter is %d, but %d was acknowledged" % (found, number))
                    total = 0
                    for _ in range(rows):
                        value = chance.randrange(1000)
                        row = (writer, number + 1, value, pad(writer, number + 1, value))
                        db.execute("INSERT INTO t(writer, n, v, pad) VALUES (?, ?, ?, ?)", row)
                        total += value
                    old = "FROM t WHERE writer = %d AND n < %d" % (writer, number + 1 - kept)
                    total -= one(db, "SELECT coalesce(sum(v), 0) " + old)
                    db.execute("DELETE " + old)
                    db.execute("UPDATE counters SET n = ?, total = total + ? WHERE writer = ?", (number + 1, total, writer))
                    amount = chance.randrange(20)
                    db.execute("UPDATE accounts SET balance = balance - ? WHERE id = ?", (amount, chance.randrange(accounts)))
                    db.execute("UPDATE accounts SET balance = balance + ? WHERE id = ?", (amount, chance.randrange(accounts)))
                if not attempt(db, change): continue
                if isUndone:
                    db.execute("ROLLBACK")
                    continue
                for _ in range(200):
                    try:
                        db.execute("COMMIT")
                        number += 1
                        say("A %d" % number)
                        break
                    except apsw.Error as error:
                        if not isBusy(error): raise
                        nap(0.001)
                else: db.execute("ROLLBACK")
            elif kind < 85:
                def read():
                    db.execute("BEGIN")
                    check(db)
                    if chance.randrange(4) == 0: checkPads(db)
                    found = counter(db)
                    if found != number: raise Wrong("reads the counter as %d, but %d was acknowledged" % (found, number))
                    db.execute("COMMIT")
                attempt(db, read)
            elif kind < 93:
                if journal == "wal":
                    mode = chance.choice(["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
                    attempt(db, lambda: db.execute("PRAGMA wal_checkpoint(%s)" % mode).fetchall())
            elif kind < 96:
                db.close()
                db = open_()
                configure(db)
            else: nap(0.003)

    try: work()
    except BaseException as error:
        say("E SQLite %s writer %d: %r" % (apsw.sqlite_lib_version(), writer, error))
        sys.exit(3)
    """#
}
