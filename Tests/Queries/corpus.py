#!/usr/bin/env python3
"""The query corpus, run and compared outside the Swift tests.

  corpus.py check DATABASE            the corpus itself: SQLite gives one answer to each query, whatever order it scans in,
                                      and (where the module apsw is installed) the newest SQLite gives the same
  corpus.py compare DATABASE DIR      Debian's python3 with DIR/libsqlite3.so.0 in place of the system's: same answers?
  corpus.py dump DATABASE             the answers of this interpreter's sqlite3 module, as JSON lines

A query whose outermost SELECT has ORDER BY is compared row by row, any other as a multiset.
"""
import glob
import json
import os
import re
import sqlite3
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def queries():
    for path in sorted(glob.glob(os.path.join(HERE, "proj", "*.sql"))):
        current = []
        for line in open(path, encoding="utf-8").read().split("\n"):
            if not current and (line.startswith("--") or not line.strip()):
                continue
            current.append(line)
            if line.endswith(";"):
                yield os.path.basename(path), "\n".join(current)
                current = []


def is_ordered(query):
    depth, flat = 0, ""
    for character in re.sub(r"'[^']*'", "''", query):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            flat += character
    return "ORDER BY" in flat.upper()


def key(value):
    if isinstance(value, float):
        return "real:" + struct.pack(">d", value).hex()
    if isinstance(value, bytes):
        return "blob:" + value.hex()
    return {int: "integer:", str: "text:", type(None): "null:"}[type(value)] + str(value)


def answer(connection, query):
    try:
        cursor = connection.execute(query)
        try:
            names = [column[0] for column in cursor.description or ()]
        except Exception:  # apsw knows no description once the cursor has ended.
            names = None
        rows = [[key(value) for value in row] for row in cursor]
    except Exception as error:
        return {"error": str(error)}
    return {"names": names, "rows": rows if is_ordered(query) else sorted(rows)}


def connect(database):
    return sqlite3.connect("file:%s?mode=ro" % database, uri=True)


def differs(left, right):
    if "error" in left or "error" in right:
        return left != right
    if left["names"] is not None and right["names"] is not None and left["names"] != right["names"]:
        return True
    return left["rows"] != right["rows"]


def show(query, left, right):
    print("  " + query)
    for side in (left, right):
        if "error" in side:
            print("    error: " + side["error"])
    if "error" not in left and "error" not in right:
        if left["names"] != right["names"]:
            print("    names: %s, %s" % (left["names"], right["names"]))
        print("    rows: %d, %d" % (len(left["rows"]), len(right["rows"])))
        for one, other in zip(left["rows"], right["rows"]):
            if one != other:
                print("    %s\n    %s" % (one, other))
                break


def check(database):
    plain, reverse = connect(database), connect(database)
    reverse.execute("PRAGMA reverse_unordered_selects = on")
    reverse.execute("PRAGMA automatic_index = off")
    sides = [("reversed scans", reverse)]
    try:
        import apsw
        sides.append(("SQLite " + apsw.sqlite_lib_version(), apsw.Connection(database, flags=apsw.SQLITE_OPEN_READONLY)))
    except ImportError:
        print("apsw is not installed: not compared with the newest SQLite")
    bad = count = 0
    for _, query in queries():
        count += 1
        expected = answer(plain, query)
        if "error" in expected:
            bad += 1
            print("  %s\n    error: %s" % (query, expected["error"]))
            continue
        for name, connection in sides:
            found = answer(connection, query)
            if differs(expected, found):
                bad += 1
                print(name)
                show(query, expected, found)
    print("%d queries, %d without one clear answer (SQLite %s)" % (count, bad, sqlite3.sqlite_version))
    return bad == 0


def dump(database):
    connection = connect(database)
    for _, query in queries():
        print(json.dumps(answer(connection, query)))
    return True


def compare(database, directory):
    python = os.environ.get("PYTHON", "/usr/bin/python3")
    command = [python, os.path.abspath(__file__), "dump", database]
    ours = dict(os.environ, LD_LIBRARY_PATH=directory)
    expected = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    result = subprocess.run(command, capture_output=True, text=True, env=ours)
    found = result.stdout.split("\n")
    if result.returncode != 0:
        print(result.stderr[-2000:])
    bad = count = 0
    for index, (_, query) in enumerate(queries()):
        count += 1
        left = json.loads(expected[index])
        right = json.loads(found[index]) if index < len(found) and found[index] else {"error": "no answer"}
        if differs(left, right):
            bad += 1
            show(query, left, right)
    print("%d queries, %d differ" % (count, bad))
    return bad == 0


if __name__ == "__main__":
    verbs = {"check": check, "dump": dump, "compare": compare}
    if len(sys.argv) < 3 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    sys.exit(0 if verbs[sys.argv[1]](*sys.argv[2:]) else 1)
