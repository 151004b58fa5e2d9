#!/usr/bin/env python3
"""What Python programs do with the module sqlite3. It passes on SQLite and must pass on Apus:

  LD_LIBRARY_PATH=build /usr/bin/python3 python_module.py
"""
import datetime
import os
import signal
import sqlite3
import subprocess
import tempfile
import threading
import unittest

DIRECTORY = tempfile.TemporaryDirectory()


def path(name):
    return os.path.join(DIRECTORY.name, name)


class ModuleTests(unittest.TestCase):
    def memory(self, **options):
        connection = sqlite3.connect(":memory:", **options)
        self.addCleanup(connection.close)
        return connection

    def fails(self, kind, message, connection, *arguments):
        with self.assertRaises(kind) as caught:
            connection.execute(*arguments)
        self.assertEqual(str(caught.exception), message)
        return caught.exception

    def test_changes_and_errors(self):
        c = self.memory()
        c.execute("create table t(id integer primary key, name text not null unique, v real, b blob)")
        c.executemany("insert into t(name, v, b) values(?, ?, ?)",
                      [("n%d" % i, i / 3, bytes([i % 256]) * i) for i in range(500)])
        c.commit()
        error = self.fails(sqlite3.IntegrityError, "UNIQUE constraint failed: t.name", c, "insert into t(name) values('n1')")
        if hasattr(error, "sqlite_errorcode"):
            self.assertEqual((error.sqlite_errorcode, error.sqlite_errorname), (2067, "SQLITE_CONSTRAINT_UNIQUE"))
        self.fails(sqlite3.IntegrityError, "NOT NULL constraint failed: t.name", c, "insert into t(name) values(null)")
        self.fails(sqlite3.OperationalError, "no such table: nope", c, "select * from nope")
        self.fails(sqlite3.OperationalError, 'near "selec": syntax error', c, "selec 1")
        self.assertEqual(c.execute("update t set v = v + 1 where id <= 10").rowcount, 10)
        self.assertEqual(c.execute("insert into t(name) values('x')").lastrowid, 501)
        self.assertEqual(c.execute("delete from t where id > 490").rowcount, 11)
        c.rollback()
        self.assertEqual(c.execute("select count(*) from t").fetchone(), (500,))
        self.assertEqual(c.execute("select b from t where id = 300").fetchone()[0], bytes([299 % 256]) * 299)

    def test_values(self):
        c = self.memory()
        for value in ["", "h\u00e9llo", "a\0b", "\U0001f600" * 1000, "x" * 100000, b"", b"\0\1", b"z" * 70000,
                      2**63 - 1, -2**63, 1.5, float("inf"), None]:
            self.assertEqual(c.execute("select ?", (value,)).fetchone()[0], value)
        with self.assertRaises(OverflowError):
            c.execute("select ?", (2**63,))
        self.assertEqual(c.execute("select :a, @b, $c", {"a": 1, "b": 2, "c": 3}).fetchone(), (1, 2, 3))
        self.assertEqual(c.execute("select ?2, ?1", (1, 2)).fetchone(), (2, 1))
        c.text_factory = bytes
        self.assertEqual(c.execute("select 'x'").fetchone(), (b"x",))

    def test_rows(self):
        c = self.memory()
        c.row_factory = sqlite3.Row
        row = c.execute("select 1 as a, 'x' as B, null as c").fetchone()
        self.assertEqual((row["a"], row["b"], row.keys(), tuple(row)), (1, "x", ["a", "B", "c"], (1, "x", None)))

    def test_declared_types(self):
        c = self.memory(detect_types=sqlite3.PARSE_DECLTYPES | sqlite3.PARSE_COLNAMES)
        c.execute("create table t(d date, ts timestamp)")
        values = (datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2, 3, 4, 5, 6))
        c.execute("insert into t values(?, ?)", values)
        self.assertEqual(c.execute("select d, ts from t").fetchone(), values)
        self.assertEqual(c.execute('select d as "d [date]" from t').fetchone(), values[:1])

    def test_context_manager(self):
        c = sqlite3.connect(path("context.db"))
        with c:
            c.execute("create table t(a primary key)")
            c.execute("insert into t values(1)")
        with self.assertRaises(sqlite3.IntegrityError):
            with c:
                c.execute("insert into t values(2)")
                c.execute("insert into t values(1)")
        self.assertFalse(c.in_transaction)
        c.close()
        c = sqlite3.connect(path("context.db"))
        self.assertEqual(c.execute("select a from t").fetchall(), [(1,)])
        c.close()

    def test_dump(self):
        c, copy = self.memory(), self.memory()
        c.executescript("""
            create table a(x integer primary key, y text);
            insert into a values(1, 'it''s'); insert into a values(2, null); -- comment
            create index ay on a(y); create view v as select * from a;;
            create table b(p, q, primary key(p)) without rowid; insert into b values(1, x'00ff');""")
        dump = list(c.iterdump())
        copy.executescript("\n".join(dump))
        self.assertEqual(list(copy.iterdump()), dump)

    def test_cursors_side_by_side(self):
        c = self.memory()
        c.execute("create table t(a)")
        c.executemany("insert into t values(?)", [(i,) for i in range(1000)])
        pairs = zip(c.execute("select a from t"), c.execute("select a from t order by a desc"))
        self.assertEqual(sum(x[0] * y[0] for x, y in pairs), sum(i * (999 - i) for i in range(1000)))
        for (a,) in c.execute("select a from t where a < 10"):
            c.execute("update t set a = a + 100000 where a = ?", (a + 500,))
        self.assertEqual(c.execute("select count(*) from t where a >= 100000").fetchone(), (10,))
        c.commit()
        c.execute("select a from t").fetchone()
        c.execute("create table u(z)")
        self.assertEqual(c.execute("select * from u").fetchall(), [])

    def test_two_connections(self):
        file = path("two.db")
        a, b = (sqlite3.connect(file, timeout=0.1, isolation_level=None) for _ in range(2))
        a.execute("create table t(a)")
        a.execute("begin immediate")
        a.execute("insert into t values(1)")
        self.assertEqual(b.execute("select * from t").fetchall(), [])
        self.fails(sqlite3.OperationalError, "database is locked", b, "begin immediate")
        for sql in ["savepoint s", "insert into t values(2)", "rollback to s", "release s", "commit"]:
            a.execute(sql)
        self.assertEqual(b.execute("select * from t").fetchall(), [(1,)])
        self.assertEqual(a.execute("pragma journal_mode = wal").fetchone(), ("wal",))
        a.execute("begin")
        a.execute("insert into t values(3)")
        self.assertEqual(b.execute("select count(*) from t").fetchone(), (1,))
        a.execute("commit")
        self.assertEqual(b.execute("select count(*) from t").fetchone(), (2,))
        b.execute("create table u(x)")
        self.assertEqual(a.execute("select * from u").fetchall(), [])
        # SQLite itself reads it meanwhile and afterwards.
        command = ["sqlite3", file, "pragma integrity_check; select * from t"]
        for _ in range(2):
            found = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
            self.assertEqual((found.stdout, found.stderr), ("ok\n1\n3\n", ""))
            a.close()
            b.close()

    def test_interrupt(self):
        c = self.memory(check_same_thread=False)
        c.execute("create table t(a)")
        c.executemany("insert into t values(?)", [(i,) for i in range(3000)])
        timer = threading.Timer(0.3, c.interrupt)
        timer.start()
        self.fails(sqlite3.OperationalError, "interrupted", c,
                   "select count(*) from t a, t b, t c where a.a + b.a + c.a < 0")

    def test_open_failures(self):
        with self.assertRaisesRegex(sqlite3.OperationalError, "^unable to open database file$"):
            sqlite3.connect("/nowhere/x.db")
        with self.assertRaisesRegex(sqlite3.OperationalError, "^unable to open database file$"):
            sqlite3.connect("file:%s?mode=ro" % path("none"), uri=True)
        with open(path("junk"), "wb") as file:
            file.write(b"junk" * 1000)
        c = sqlite3.connect(path("junk"))
        self.fails(sqlite3.DatabaseError, "file is not a database", c, "select * from sqlite_master")
        c.close()

    def in_child(self, body):
        """Runs body in a forked process, which is to say "ready" in between; returns what ends it."""
        ready, done = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            os.close(done[1])
            code = 1
            try:
                body(lambda: (os.write(ready[1], b"."), os.read(done[0], 1)))
                code = 0
            except BaseException as error:
                print("in the child:", error)
                os.write(ready[1], b"!")
            os._exit(code)
        os.close(ready[1])
        os.close(done[0])
        self.assertEqual(os.read(ready[0], 1), b".")

        def end():
            os.write(done[1], b".")
            self.assertEqual(os.waitpid(child, 0)[1], 0)
            os.close(ready[0])
            os.close(done[1])
        return end

    def test_fork_and_open(self):
        # Two connections, so that the process has something to share.
        file = path("fork.db")
        a, b = (sqlite3.connect(file, isolation_level=None, timeout=0) for _ in range(2))
        a.execute("pragma journal_mode = wal")
        a.execute("create table t(x)")
        b.execute("insert into t values(1)")
        a.execute("insert into t values(2)")

        def writes(wait):
            own = sqlite3.connect(file, isolation_level=None, timeout=0)
            own.execute("begin immediate")
            own.execute("insert into t values(3)")
            wait()
            own.execute("commit")
            own.close()

        end = self.in_child(writes)
        self.fails(sqlite3.OperationalError, "database is locked", b, "insert into t values(4)")
        end()
        b.execute("insert into t values(5)")
        self.assertEqual(a.execute("select x from t order by x").fetchall(), [(1,), (2,), (3,), (5,)])
        self.assertEqual(a.execute("pragma integrity_check").fetchall(), [("ok",)])
        a.close()
        b.close()

    def test_fork_and_kill(self):
        # Who is killed leaves no lock behind, though a child of it lives on that has done nothing.
        file, (ready, told) = path("killed.db"), os.pipe()
        parent = os.fork()
        if parent == 0:
            signal.alarm(30)
            own = sqlite3.connect(file, isolation_level=None)
            own.execute("pragma journal_mode = wal")
            own.execute("create table t(x)")
            own.execute("begin immediate")
            own.execute("insert into t values(1)")
            child = os.fork()
            if child == 0:
                signal.alarm(30)
            os.write(told, b"%d " % child)
            while True:
                signal.pause()
        os.close(told)
        text = b""
        while text.count(b" ") < 2:
            text += os.read(ready, 100)
        child = max(int(word) for word in text.split())
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        try:
            c = sqlite3.connect(file, isolation_level=None, timeout=0)
            c.execute("insert into t values(2)")
            self.assertEqual(c.execute("select x from t").fetchall(), [(2,)])
            c.close()
        finally:
            os.kill(child, signal.SIGKILL)
            os.close(ready)

    def test_fork_of_memory(self):
        c = self.memory(isolation_level=None)
        c.execute("create table t(x)")
        c.execute("insert into t values(1)")

        def reads(wait):
            c.execute("insert into t values(2)")
            assert c.execute("select count(*) from t").fetchone() == (2,)
            c.close()
            wait()

        self.in_child(reads)()
        self.assertEqual(c.execute("select count(*) from t").fetchone(), (1,))

    def test_fork_and_close(self):
        # What the child closes is the parent's, who goes on with it: a transaction, a statement between two rows, the log.
        file = path("inherited.db")
        a, b = (sqlite3.connect(file, isolation_level=None, timeout=0) for _ in range(2))
        a.execute("pragma journal_mode = wal")
        a.execute("create table t(x)")
        a.executemany("insert into t values(?)", [(i,) for i in range(500)])
        a.execute("begin immediate")
        a.execute("insert into t values(1000)")
        rows = b.execute("select x from t")
        rows.fetchone()

        def closes(wait):
            rows.close()
            a.close()
            b.close()
            wait()

        end = self.in_child(closes)
        other = sqlite3.connect(file, isolation_level=None, timeout=0)
        self.fails(sqlite3.OperationalError, "database is locked", other, "insert into t values(4)")
        a.execute("commit")
        self.assertEqual(len(rows.fetchall()), 499)
        end()
        b.execute("insert into t values(1001)")
        self.assertTrue(os.path.exists(file + "-wal"))
        command = ["sqlite3", file, "pragma integrity_check; select count(*) from t"]
        found = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
        self.assertEqual((found.stdout, found.stderr), ("ok\n502\n", ""))
        for c in (a, b, other):
            c.close()

    def test_threads(self):
        file, failures = path("threads.db"), []
        c = sqlite3.connect(file)
        c.execute("create table t(a)")
        c.commit()

        def writes(number):
            try:
                own = sqlite3.connect(file, timeout=20)
                for i in range(20):
                    with own:
                        own.execute("insert into t values(?)", (number * 100 + i,))
                own.close()
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=writes, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(c.execute("select count(*), count(distinct a) from t").fetchone(), (80, 80))
        c.close()


if __name__ == "__main__":
    print("SQLite " + sqlite3.sqlite_version)
    unittest.main()
