// What C programs rely on, said against SQLite's own header: the program passes on SQLite and must pass on Apus.
//   check DIRECTORY      where it may write files
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int failures = 0, checks = 0;

#define CHECK(condition) \
  do { \
    checks++; \
    if (!(condition)) { failures++; printf("check.c:%d: %s\n", __LINE__, #condition); } \
  } while (0)
#define TEXT(found, expected) \
  do { \
    const char *text_ = (const char *)(found); \
    checks++; \
    if (!text_ || strcmp(text_, (expected)) != 0) { \
      failures++; \
      printf("check.c:%d: %s is \"%s\", not \"%s\"\n", __LINE__, #found, text_ ? text_ : "(NULL)", (expected)); \
    } \
  } while (0)

static sqlite3 *memory(void) {
  sqlite3 *db = 0;
  CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
  return db;
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql) {
  sqlite3_stmt *statement = 0;
  int code = sqlite3_prepare_v2(db, sql, -1, &statement, 0);
  if (code != SQLITE_OK) printf("%s: %s\n", sql, sqlite3_errmsg(db));
  CHECK(code == SQLITE_OK);
  return statement;
}

static void run(sqlite3 *db, const char *sql) {
  char *message = 0;
  int code = sqlite3_exec(db, sql, 0, 0, &message);
  if (code != SQLITE_OK) printf("%s: %s\n", sql, message);
  CHECK(code == SQLITE_OK);
  sqlite3_free(message);
}

static void nothing(sqlite3_context *context, int count, sqlite3_value **values) {}

// Apus refuses the application's functions. Some checks are about it alone: what it refuses, and what SQLite's versions differ in.
static int is_apus(void) {
  sqlite3 *db = memory();
  int code = sqlite3_create_function_v2(db, "nothing", 0, SQLITE_UTF8, 0, nothing, 0, 0, 0);
  int is = code == SQLITE_ERROR && strstr(sqlite3_errmsg(db), "not supported: ") != 0;
  sqlite3_close(db);
  return is;
}

static void errors(void) {
  sqlite3 *db = memory();
  sqlite3_stmt *statement = 0;
  const char *tail = 0;
  CHECK(sqlite3_errcode(db) == SQLITE_OK);
  TEXT(sqlite3_errmsg(db), "not an error");
  CHECK(sqlite3_prepare_v2(db, "SELECT * FROM nowhere", -1, &statement, &tail) == SQLITE_ERROR);
  CHECK(statement == 0);
  TEXT(sqlite3_errmsg(db), "no such table: nowhere");
  CHECK(sqlite3_errmsg(db) == sqlite3_errmsg(db));
  CHECK(sqlite3_errcode(db) == SQLITE_ERROR && sqlite3_extended_errcode(db) == SQLITE_ERROR);
  CHECK(sqlite3_prepare_v2(db, "SELEC 1", -1, &statement, 0) == SQLITE_ERROR);
  TEXT(sqlite3_errmsg(db), "near \"SELEC\": syntax error");
  CHECK(sqlite3_error_offset(db) == 0);
  // A success says so again.
  run(db, "CREATE TABLE t(a PRIMARY KEY, b NOT NULL)");
  CHECK(sqlite3_errcode(db) == SQLITE_OK);
  TEXT(sqlite3_errmsg(db), "not an error");
  run(db, "INSERT INTO t VALUES(1, 'x')");

  // The error of a step is told again by the reset and by finalize, once, under the primary code.
  statement = prepare(db, "INSERT INTO t VALUES(1, 'y')");
  CHECK(sqlite3_step(statement) == SQLITE_CONSTRAINT);
  TEXT(sqlite3_errmsg(db), "UNIQUE constraint failed: t.a");
  CHECK(sqlite3_extended_errcode(db) == SQLITE_CONSTRAINT_PRIMARYKEY);
  CHECK(sqlite3_errcode(db) == SQLITE_CONSTRAINT);
  CHECK(sqlite3_reset(statement) == SQLITE_CONSTRAINT);
  CHECK(sqlite3_reset(statement) == SQLITE_OK);
  CHECK(sqlite3_extended_result_codes(db, 1) == SQLITE_OK);
  CHECK(sqlite3_step(statement) == SQLITE_CONSTRAINT_PRIMARYKEY);
  CHECK(sqlite3_errcode(db) == SQLITE_CONSTRAINT_PRIMARYKEY);
  CHECK(sqlite3_finalize(statement) == SQLITE_CONSTRAINT_PRIMARYKEY);
  sqlite3_extended_result_codes(db, 0);
  statement = prepare(db, "SELECT 1");
  CHECK(sqlite3_step(statement) == SQLITE_ROW);
  CHECK(sqlite3_errcode(db) == SQLITE_ROW);
  TEXT(sqlite3_errmsg(db), "another row available");
  CHECK(sqlite3_step(statement) == SQLITE_DONE);
  TEXT(sqlite3_errmsg(db), "no more rows available");
  CHECK(sqlite3_finalize(statement) == SQLITE_OK);
  TEXT(sqlite3_errstr(SQLITE_BUSY), "database is locked");
  TEXT(sqlite3_errstr(SQLITE_CONSTRAINT_UNIQUE), "constraint failed");
  TEXT(sqlite3_errstr(12345), "unknown error");
  CHECK(sqlite3_close(db) == SQLITE_OK);
}

static void misuse(void) {
  CHECK(sqlite3_step(0) == SQLITE_MISUSE);
  CHECK(sqlite3_reset(0) == SQLITE_OK && sqlite3_finalize(0) == SQLITE_OK && sqlite3_close(0) == SQLITE_OK);
  CHECK(sqlite3_bind_int(0, 1, 1) == SQLITE_MISUSE);
  CHECK(sqlite3_column_count(0) == 0 && sqlite3_sql(0) == 0 && sqlite3_bind_parameter_count(0) == 0);
  TEXT(sqlite3_errmsg(0), "out of memory");
  sqlite3 *db = memory();
  sqlite3_stmt *statement = (sqlite3_stmt *)1;
  CHECK(sqlite3_prepare_v2(db, " -- nothing", -1, &statement, 0) == SQLITE_OK && statement == 0);
  CHECK(sqlite3_prepare_v2(db, "", -1, &statement, 0) == SQLITE_OK && statement == 0);
  // Nothing is bound while a statement runs, nor behind the last parameter.
  statement = prepare(db, "SELECT ?");
  CHECK(sqlite3_bind_int(statement, 1, 1) == SQLITE_OK);
  CHECK(sqlite3_bind_int(statement, 2, 1) == SQLITE_RANGE && sqlite3_bind_int(statement, 0, 1) == SQLITE_RANGE);
  TEXT(sqlite3_errmsg(db), "column index out of range");
  CHECK(sqlite3_step(statement) == SQLITE_ROW);
  CHECK(sqlite3_bind_int(statement, 1, 2) == SQLITE_MISUSE);
  CHECK(sqlite3_column_int(statement, 0) == 1);
  CHECK(sqlite3_column_int(statement, 1) == 0 && sqlite3_errcode(db) == SQLITE_RANGE);
  CHECK(sqlite3_column_type(statement, -1) == SQLITE_NULL && sqlite3_column_text(statement, 99) == 0);
  CHECK(sqlite3_step(statement) == SQLITE_DONE);
  CHECK(sqlite3_bind_int(statement, 1, 2) == SQLITE_MISUSE);
  CHECK(sqlite3_column_text(statement, 0) == 0 && sqlite3_data_count(statement) == 0);
  // Without a reset it starts over.
  CHECK(sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_int(statement, 0) == 1);
  CHECK(sqlite3_close(db) == SQLITE_BUSY);
  TEXT(sqlite3_errmsg(db), "unable to close due to unfinalized statements or unfinished backups");
  // A zombie: the statement still runs, and the connection ends with it.
  CHECK(sqlite3_close_v2(db) == SQLITE_OK);
  CHECK(sqlite3_step(statement) == SQLITE_DONE);
  CHECK(sqlite3_finalize(statement) == SQLITE_OK);

  db = 0;
  CHECK(sqlite3_open_v2("/nowhere/at/all", &db, SQLITE_OPEN_READWRITE, 0) == SQLITE_CANTOPEN);
  CHECK(db != 0 && sqlite3_errcode(db) == SQLITE_CANTOPEN);
  TEXT(sqlite3_errmsg(db), "unable to open database file");
  CHECK(sqlite3_close(db) == SQLITE_OK);
  CHECK(sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_CREATE, 0) == SQLITE_MISUSE);
  sqlite3_close(db);
  CHECK(sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE, "nowhere") == SQLITE_ERROR);
  TEXT(sqlite3_errmsg(db), "no such vfs: nowhere");
  sqlite3_close(db);
}

static void columns(void) {
  sqlite3 *db = memory();
  run(db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b VARCHAR(10) COLLATE NOCASE NOT NULL, c)");
  run(db, "INSERT INTO t VALUES(7, '12abc', NULL)");
  sqlite3_stmt *statement = prepare(db, "SELECT a, b, c, 2.5, x'410042', '', x'', 9223372036854775807, a + 1 AS sum, -1e300 FROM t");
  CHECK(sqlite3_column_count(statement) == 10 && sqlite3_data_count(statement) == 0);
  const char *name = sqlite3_column_name(statement, 8);
  TEXT(name, "sum");
  CHECK(sqlite3_column_name(statement, 8) == name);
  CHECK(sqlite3_column_name(statement, 10) == 0 && sqlite3_column_name(statement, -1) == 0);
  TEXT(sqlite3_column_decltype(statement, 1), "VARCHAR(10)");
  CHECK(sqlite3_column_decltype(statement, 2) == 0 && sqlite3_column_decltype(statement, 8) == 0);
  CHECK(sqlite3_step(statement) == SQLITE_ROW && sqlite3_data_count(statement) == 10);
  TEXT(name, "sum");
  CHECK(sqlite3_column_type(statement, 0) == SQLITE_INTEGER && sqlite3_column_type(statement, 1) == SQLITE_TEXT);
  CHECK(sqlite3_column_type(statement, 2) == SQLITE_NULL && sqlite3_column_type(statement, 3) == SQLITE_FLOAT);
  CHECK(sqlite3_column_type(statement, 4) == SQLITE_BLOB);
  // Conversions.
  const unsigned char *text = sqlite3_column_text(statement, 1);
  TEXT(text, "12abc");
  CHECK(sqlite3_column_text(statement, 1) == text && sqlite3_column_bytes(statement, 1) == 5);
  CHECK(sqlite3_column_int(statement, 1) == 12 && sqlite3_column_double(statement, 1) == 12.0);
  TEXT(sqlite3_column_text(statement, 0), "7");
  CHECK(sqlite3_column_bytes(statement, 0) == 1 && sqlite3_column_double(statement, 0) == 7.0);
  CHECK(memcmp(sqlite3_column_blob(statement, 0), "7", 1) == 0);
  CHECK(sqlite3_column_text(statement, 2) == 0 && sqlite3_column_blob(statement, 2) == 0);
  CHECK(sqlite3_column_bytes(statement, 2) == 0 && sqlite3_column_int64(statement, 2) == 0);
  CHECK(sqlite3_column_int(statement, 3) == 2);
  TEXT(sqlite3_column_text(statement, 3), "2.5");
  CHECK(sqlite3_column_bytes(statement, 4) == 3);
  CHECK(memcmp(sqlite3_column_blob(statement, 4), "A\0B", 3) == 0);
  CHECK(sqlite3_column_text(statement, 4)[3] == 0);
  TEXT(sqlite3_column_text(statement, 5), "");
  CHECK(sqlite3_column_blob(statement, 6) == 0 && sqlite3_column_bytes(statement, 6) == 0);
  CHECK(sqlite3_column_int64(statement, 7) == 9223372036854775807LL && sqlite3_column_int(statement, 7) == -1);
  CHECK(sqlite3_column_int64(statement, 9) == (-9223372036854775807LL - 1));
  // What was given out stays, whatever else is done on the connection before the next step.
  run(db, "UPDATE t SET b = 'other'");
  TEXT(text, "12abc");
  // Values.
  sqlite3_value *value = sqlite3_value_dup(sqlite3_column_value(statement, 1));
  CHECK(sqlite3_step(statement) == SQLITE_DONE);
  CHECK(sqlite3_finalize(statement) == SQLITE_OK);
  CHECK(sqlite3_value_type(value) == SQLITE_TEXT && sqlite3_value_int(value) == 12);
  TEXT(sqlite3_value_text(value), "12abc");
  statement = prepare(db, "SELECT ?1, typeof(?1)");
  CHECK(sqlite3_bind_value(statement, 1, value) == SQLITE_OK);
  sqlite3_value_free(value);
  CHECK(sqlite3_step(statement) == SQLITE_ROW);
  TEXT(sqlite3_column_text(statement, 0), "12abc");
  TEXT(sqlite3_column_text(statement, 1), "text");
  sqlite3_finalize(statement);

  const char *type = 0, *collation = 0;
  int not_null = -1, primary = -1, increment = -1;
  CHECK(sqlite3_table_column_metadata(db, 0, "t", "b", &type, &collation, &not_null, &primary, &increment) == SQLITE_OK);
  TEXT(type, "VARCHAR(10)");
  TEXT(collation, "NOCASE");
  CHECK(not_null == 1 && primary == 0 && increment == 0);
  CHECK(sqlite3_table_column_metadata(db, "main", "T", "rowid", &type, &collation, &not_null, &primary, &increment) == SQLITE_OK);
  TEXT(type, "INTEGER");
  TEXT(collation, "BINARY");
  CHECK(not_null == 0 && primary == 1 && increment == 0);
  CHECK(sqlite3_table_column_metadata(db, 0, "t", 0, 0, 0, 0, 0, 0) == SQLITE_OK);
  not_null = primary = increment = -1;
  CHECK(sqlite3_table_column_metadata(db, 0, "t", "z", &type, &collation, &not_null, &primary, &increment) == SQLITE_ERROR);
  CHECK(type == 0 && collation == 0 && not_null == 0 && primary == 0 && increment == 0);
  TEXT(sqlite3_errmsg(db), "no such table column: t.z");
  CHECK(sqlite3_table_column_metadata(db, 0, "u", 0, 0, 0, 0, 0, 0) == SQLITE_ERROR);
  CHECK(sqlite3_close(db) == SQLITE_OK);
}

static int destroyed = 0;
static void destructor(void *memory) { destroyed++; free(memory); }

static void parameters(void) {
  sqlite3 *db = memory();
  sqlite3_stmt *statement = prepare(db, "SELECT ?, :name, @x, $y, ?7, :name, ?");
  CHECK(sqlite3_bind_parameter_count(statement) == 8);
  CHECK(sqlite3_bind_parameter_name(statement, 1) == 0);
  TEXT(sqlite3_bind_parameter_name(statement, 2), ":name");
  TEXT(sqlite3_bind_parameter_name(statement, 7), "?7");
  CHECK(sqlite3_bind_parameter_name(statement, 9) == 0);
  CHECK(sqlite3_bind_parameter_index(statement, "$y") == 4 && sqlite3_bind_parameter_index(statement, "y") == 0);
  CHECK(sqlite3_bind_text(statement, 1, "it's me", 4, SQLITE_TRANSIENT) == SQLITE_OK);
  CHECK(sqlite3_bind_double(statement, 2, 1.0 / 3) == SQLITE_OK);
  CHECK(sqlite3_bind_text(statement, 3, strdup("gone"), -1, destructor) == SQLITE_OK);
  CHECK(sqlite3_bind_blob(statement, 4, "\x01\xff", 2, SQLITE_STATIC) == SQLITE_OK);
  CHECK(sqlite3_bind_int64(statement, 7, -5000000000LL) == SQLITE_OK);
  char *sql = sqlite3_expanded_sql(statement);
  TEXT(sql, "SELECT 'it''s', 0.333333333333333, 'gone', x'01ff', -5000000000, 0.333333333333333, NULL");
  sqlite3_free(sql);
  TEXT(sqlite3_sql(statement), "SELECT ?, :name, @x, $y, ?7, :name, ?");
  CHECK(sqlite3_step(statement) == SQLITE_ROW);
  TEXT(sqlite3_column_text(statement, 0), "it's");
  TEXT(sqlite3_column_text(statement, 2), "gone");
  CHECK(sqlite3_column_bytes(statement, 3) == 2 && sqlite3_column_int64(statement, 4) == -5000000000LL);
  CHECK(sqlite3_reset(statement) == SQLITE_OK);
  CHECK(sqlite3_step(statement) == SQLITE_ROW);
  TEXT(sqlite3_column_text(statement, 2), "gone");
  CHECK(sqlite3_reset(statement) == SQLITE_OK && sqlite3_clear_bindings(statement) == SQLITE_OK);
  CHECK(sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_type(statement, 2) == SQLITE_NULL);
  sqlite3_reset(statement);
  // What is cleared on a row is so for the next run, also where that begins without a reset.
  CHECK(sqlite3_bind_int(statement, 1, 5) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW);
  CHECK(sqlite3_clear_bindings(statement) == SQLITE_OK && sqlite3_step(statement) == SQLITE_DONE);
  CHECK(sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_type(statement, 0) == SQLITE_NULL);
  sqlite3_reset(statement);
  // A destructor is called also where binding fails, but not for a NULL.
  CHECK(sqlite3_bind_text(statement, 99, strdup("x"), -1, destructor) == SQLITE_RANGE);
  CHECK(sqlite3_bind_text(statement, 1, 0, -1, destructor) == SQLITE_OK);
  CHECK(sqlite3_bind_zeroblob(statement, 1, 1000) == SQLITE_OK);
  CHECK(sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_bytes(statement, 0) == 1000);
  CHECK(((const char *)sqlite3_column_blob(statement, 0))[999] == 0);
  sqlite3_finalize(statement);
  CHECK(destroyed == 2);
  // Names are their bytes: these two are one to Unicode.
  statement = prepare(db, "SELECT :\xc3\xa9, :e\xcc\x81");
  CHECK(sqlite3_bind_parameter_count(statement) == 2);
  CHECK(sqlite3_bind_parameter_index(statement, ":\xc3\xa9") == 1 && sqlite3_bind_parameter_index(statement, ":e\xcc\x81") == 2);
  sqlite3_finalize(statement);
  run(db, "CREATE TABLE types(a \xc3\xa9, b e\xcc\x81)");
  statement = prepare(db, "SELECT a, b FROM types");
  TEXT(sqlite3_column_decltype(statement, 0), "\xc3\xa9");
  TEXT(sqlite3_column_decltype(statement, 1), "e\xcc\x81");
  sqlite3_finalize(statement);
  CHECK(sqlite3_close(db) == SQLITE_OK);
}

static int rows = 0;
static int count_rows(void *stop, int count, char **values, char **names) {
  rows++;
  CHECK(count == 2);
  TEXT(names[0], "a");
  CHECK(values[1] == 0 && values[count] == 0);
  return stop && rows == 2;
}

static void executing(void) {
  sqlite3 *db = memory();
  char *message = 0;
  run(db, "CREATE TABLE t(a, b); INSERT INTO t VALUES(1, NULL), (2, NULL), (3, NULL); -- end");
  CHECK(sqlite3_changes(db) == 3 && sqlite3_total_changes(db) == 3 && sqlite3_last_insert_rowid(db) == 3);
  CHECK(sqlite3_exec(db, "SELECT a, b FROM t", count_rows, 0, &message) == SQLITE_OK && rows == 3 && message == 0);
  rows = 0;
  CHECK(sqlite3_exec(db, "SELECT a, b FROM t", count_rows, &rows, &message) == SQLITE_ABORT && rows == 2);
  TEXT(message, "query aborted");
  sqlite3_free(message);
  CHECK(sqlite3_exec(db, "INSERT INTO t VALUES(4, 4); SELECT * FROM nowhere; INSERT INTO t VALUES(5, 5)", 0, 0, &message) == SQLITE_ERROR);
  TEXT(message, "no such table: nowhere");
  sqlite3_free(message);
  CHECK(sqlite3_exec(db, 0, 0, 0, 0) == SQLITE_OK && sqlite3_exec(db, " ; ", 0, 0, 0) == SQLITE_OK);
  char **table = 0;
  int row_count = 0, column_count = 0;
  CHECK(sqlite3_get_table(db, "SELECT a, b FROM t ORDER BY a", &table, &row_count, &column_count, 0) == SQLITE_OK);
  CHECK(row_count == 4 && column_count == 2);
  TEXT(table[0], "a");
  TEXT(table[2], "1");
  CHECK(table[3] == 0);
  TEXT(table[9], "4");
  sqlite3_free_table(table);
  CHECK(sqlite3_get_table(db, "SELECT a FROM t; SELECT a, b FROM t", &table, &row_count, &column_count, &message) == SQLITE_ERROR);
  TEXT(message, "sqlite3_get_table() called with two or more incompatible queries");
  sqlite3_free(message);

  // Several statements of one text, from tail to tail.
  const char *sql = "SELECT 1; SELECT 2 ;  ", *tail = sql;
  for (int number = 1; number <= 2; number++) {
    sqlite3_stmt *statement = 0;
    CHECK(sqlite3_prepare_v2(db, tail, -1, &statement, &tail) == SQLITE_OK);
    CHECK(sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_int(statement, 0) == number);
    CHECK(sqlite3_next_stmt(db, 0) == statement && sqlite3_next_stmt(db, statement) == 0);
    CHECK(sqlite3_db_handle(statement) == db && sqlite3_stmt_readonly(statement) && sqlite3_stmt_busy(statement));
    CHECK(sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_RUN, 0) == 1);
    sqlite3_finalize(statement);
  }
  TEXT(tail, "  ");
  // Behind an error: the next statement where the grammar was right, else what stands behind the wrong token.
  const char *wrong[][2] = {
    {"SELECT * FROM nowhere; SELECT 1", " SELECT 1"}, {" INSERT INTO nowhere VALUES(';'); SELECT 1", " SELECT 1"},
    {"SELEC 1; SELECT 2", " 1; SELECT 2"}, {"SELECT 1 WHERE; SELECT 2", " SELECT 2"}, {"SELECT (1", ""},
  };
  for (size_t index = 0; index < sizeof wrong / sizeof *wrong; index++) {
    sqlite3_stmt *none = 0;
    CHECK(sqlite3_prepare_v2(db, wrong[index][0], -1, &none, &tail) == SQLITE_ERROR);
    TEXT(tail, wrong[index][1]);
  }
  sqlite3_stmt *cut = 0;
  CHECK(sqlite3_prepare_v2(db, "SELECT 12345", 8, &cut, 0) == SQLITE_OK);
  CHECK(sqlite3_step(cut) == SQLITE_ROW && sqlite3_column_int(cut, 0) == 1);
  sqlite3_finalize(cut);

  // A statement lives through a change of the schema.
  sqlite3_stmt *statement = prepare(db, "SELECT * FROM t WHERE a = 1");
  CHECK(sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_count(statement) == 2);
  CHECK(sqlite3_reset(statement) == SQLITE_OK);
  run(db, "DROP TABLE t; CREATE TABLE t(a, b, c); INSERT INTO t VALUES(1, 2, 3)");
  CHECK(sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_count(statement) == 3);
  CHECK(sqlite3_column_int(statement, 2) == 3);
  TEXT(sqlite3_column_name(statement, 2), "c");
  sqlite3_finalize(statement);
  CHECK(sqlite3_get_autocommit(db) == 1);
  run(db, "BEGIN");
  CHECK(sqlite3_get_autocommit(db) == 0);
  statement = prepare(db, "INSERT INTO t VALUES(1, 1, 1)");
  CHECK(!sqlite3_stmt_readonly(statement));
  sqlite3_finalize(statement);
  run(db, "ROLLBACK");
  CHECK(sqlite3_close(db) == SQLITE_OK);
}

// Statements that are compiled again because the schema has changed.
static void compiled_again(void) {
  sqlite3 *db = memory(), *other = memory();
  run(db, "CREATE TABLE t(a, b, c)");
  sqlite3_stmt *statement = prepare(db, "SELECT *, abs(a) FROM t");
  CHECK(sqlite3_column_count(statement) == 4);
  TEXT(sqlite3_column_name(statement, 3), "abs(a)");
  run(db, "DROP TABLE t; CREATE TABLE t(a); INSERT INTO t VALUES(-9223372036854775807 - 1)");
  // Its first step fails: the columns are the new ones all the same.
  CHECK(sqlite3_step(statement) == SQLITE_ERROR);
  CHECK(sqlite3_column_count(statement) == 2 && sqlite3_column_name(statement, 3) == 0);
  CHECK(sqlite3_column_decltype(statement, 3) == 0 && sqlite3_column_decltype(statement, 2) == 0);
  TEXT(sqlite3_column_name(statement, 1), "abs(a)");
  sqlite3_finalize(statement);

  // Text that is not UTF-8 stays what it was.
  static const char text[] = "SELECT '\xff\xfe', ?, a FROM t";
  statement = prepare(db, text);
  CHECK(sqlite3_bind_text(statement, 1, "\xf0", 1, SQLITE_STATIC) == SQLITE_OK);
  for (int round = 0; round < 2; round++) {
    CHECK(sqlite3_step(statement) == SQLITE_ROW);
    TEXT(sqlite3_column_text(statement, 0), "\xff\xfe");
    TEXT(sqlite3_sql(statement), text);
    char *expanded = sqlite3_expanded_sql(statement);
    TEXT(expanded, "SELECT '\xff\xfe', '\xf0', a FROM t");
    sqlite3_free(expanded);
    CHECK(sqlite3_reset(statement) == SQLITE_OK);
    run(db, round == 0 ? "CREATE TABLE u(z)" : "DROP TABLE u; DROP TABLE t");
  }
  sqlite3_finalize(statement);

  // Another database under the same name, with the same schema cookie: its trees lie elsewhere.
  run(other, "CREATE TABLE first(a); CREATE TABLE second(b); INSERT INTO first VALUES(1); INSERT INTO second VALUES(2)");
  sqlite3_close(db);
  db = memory();
  run(db, "CREATE TABLE second(b); CREATE TABLE first(a); INSERT INTO first VALUES(10); INSERT INTO second VALUES(20)");
  statement = prepare(db, "SELECT b FROM second");
  CHECK(sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_int(statement, 0) == 20);
  CHECK(sqlite3_reset(statement) == SQLITE_OK);
  sqlite3_int64 size = 0;
  unsigned char *bytes = sqlite3_serialize(other, "main", &size, 0);
  CHECK(sqlite3_deserialize(db, "main", bytes, size, size, SQLITE_DESERIALIZE_FREEONCLOSE) == SQLITE_OK);
  // SQLite runs the old program and finds its tables where they are no more.
  CHECK(sqlite3_step(statement) == SQLITE_ROW && (sqlite3_column_int(statement, 0) == 2 || !is_apus()));
  sqlite3_finalize(statement);
  CHECK(sqlite3_close(db) == SQLITE_OK && sqlite3_close(other) == SQLITE_OK);
}

// Address space in which a few bytes of memory stand again and again: a text without an end.
static char *endless(size_t size) {
  size_t piece = 1 << 26;
  int file = memfd_create("endless", 0);
  char *memory = mmap(0, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (file < 0 || memory == MAP_FAILED || ftruncate(file, piece) != 0) return 0;
  for (size_t at = 0; at < size; at += piece) {
    if (mmap(memory + at, piece, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED) return 0;
  }
  memset(memory, ' ', piece);
  close(file);
  // One page of its own ends it.
  char *last = memory + size - 4096;
  if (mmap(last, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) return 0;
  return memory;
}

static void huge_texts(void) {
  sqlite3 *db = memory();
  size_t size = (size_t)1 << 30;
  char *text = endless(size);
  CHECK(text != 0);
  if (text) {
    CHECK(sqlite3_exec(db, text, 0, 0, 0) == SQLITE_TOOBIG);
    munmap(text, size);
  }
  // A length that 32 bits do not hold. SQLite takes the length modulo 2^30.
  size = ((size_t)1 << 32) + (1 << 26);
  text = is_apus() ? endless(size) : 0;
  if (text) {
    CHECK(sqlite3_mprintf("%s", text) == 0);
    munmap(text, size);
  }
  CHECK(sqlite3_close(db) == SQLITE_OK);
}

static void texts(void) {
  char buffer[8];
  char *text = sqlite3_mprintf("%d|%5.2f|%s|%q|%Q|%w|%lld|%x|%c|%%|%Q", -1, 2.345, (char *)0, "it's", "it's", "a\"b", 1LL << 40, 255, 'z', (char *)0);
  TEXT(text, "-1| 2.35||it''s|'it''s'|a\"\"b|1099511627776|ff|z|%|NULL");
  sqlite3_free(text);
  // With a precision the text need not end.
  char open_ended[3] = {'a', 'b', 'c'};
  text = sqlite3_mprintf("[%.*s|%-5s|%z]", 2, open_ended, "x", sqlite3_mprintf("%u", 4294967295u));
  TEXT(text, "[ab|x    |4294967295]");
  sqlite3_free(text);
  // Nor where it counts characters: what lies behind the page is not there.
  long page = sysconf(_SC_PAGESIZE);
  char *pages = mmap(0, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(pages != MAP_FAILED && mprotect(pages + page, page, PROT_NONE) == 0);
  memcpy(pages + page - 4, "\xc3\xa9xy", 4);
  text = sqlite3_mprintf("[%!.3s|%!.2s|%!.9s]", pages + page - 4, "\xe2\x82\xac\xf0\x9f\x98\x80z", "ab");
  TEXT(text, "[\xc3\xa9xy|\xe2\x82\xac\xf0\x9f\x98\x80|ab]");
  sqlite3_free(text);
  munmap(pages, 2 * page);
  CHECK(sqlite3_snprintf(sizeof buffer, buffer, "%s", "0123456789") == buffer);
  TEXT(buffer, "0123456");
  CHECK(sqlite3_complete("SELECT 1;") == 1 && sqlite3_complete("SELECT ';") == 0);
  CHECK(sqlite3_stricmp("aBc", "AbC") == 0 && sqlite3_strnicmp("abx", "aby", 2) == 0 && sqlite3_stricmp("a", "b") < 0);
  CHECK(sqlite3_libversion_number() >= 3040001 && sqlite3_threadsafe() != 0);
  sqlite3_int64 before = sqlite3_memory_used();
  void *block = sqlite3_malloc(100);
  CHECK(sqlite3_msize(block) >= 100 && sqlite3_memory_used() >= before + 100);
  memset(block, 7, 100);
  block = sqlite3_realloc(block, 1000);
  CHECK(((char *)block)[99] == 7);
  sqlite3_free(block);
  CHECK(sqlite3_memory_used() == before && sqlite3_malloc(0) == 0 && sqlite3_malloc(-1) == 0);
  CHECK(sqlite3_malloc64(0x7fffff00) == 0);
  TEXT(sqlite3_version, sqlite3_libversion());
  CHECK(sqlite3_sleep(1) >= 1);
  if (is_apus()) {
    CHECK(sqlite3_sleep(-1) == 0);
    // More than an hour: 32 bits do not hold its microseconds. Old SQLites take both wrongly.
    pid_t sleeper = fork();
    if (sleeper == 0) {
      sqlite3_sleep(4294968);
      _exit(0);
    }
    usleep(100000);
    CHECK(waitpid(sleeper, 0, WNOHANG) == 0);
    kill(sleeper, SIGKILL);
    waitpid(sleeper, 0, 0);
  }
}

// What there is not says so, and what there is not to be taken away is gone.
static void refusals(void) {
  sqlite3 *db = memory();
  CHECK(sqlite3_create_function_v2(db, "nowhere", 1, SQLITE_UTF8, 0, 0, 0, 0, 0) == SQLITE_OK);
  CHECK(sqlite3_create_function(db, "nowhere", 1, SQLITE_UTF8, 0, 0, 0, 0) == SQLITE_OK);
  CHECK(sqlite3_create_window_function(db, "nowhere", 1, SQLITE_UTF8, 0, 0, 0, 0, 0, 0) == SQLITE_OK);
  CHECK(sqlite3_create_collation(db, "nowhere", SQLITE_UTF8, 0, 0) == SQLITE_OK);
  CHECK(sqlite3_create_collation_v2(db, "nowhere", SQLITE_UTF8, 0, 0, 0) == SQLITE_OK);
  // A program that links these loads.
  void *names[] = {
    sqlite3_result_int, sqlite3_result_value, sqlite3_result_zeroblob, sqlite3_result_zeroblob64, sqlite3_result_text64,
    sqlite3_result_blob64, sqlite3_result_error_code, sqlite3_result_subtype, sqlite3_blob_reopen,
  };
  for (size_t index = 0; index < sizeof names / sizeof *names; index++) CHECK(names[index] != 0);
  int is_on = -1;
  CHECK(sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 0, &is_on) == SQLITE_OK && is_on == 0);
  CHECK(sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, -1, &is_on) == SQLITE_OK && is_on == 0);
  if (is_apus()) {
    CHECK(sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, &is_on) == SQLITE_ERROR);
    CHECK(sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, -1, &is_on) == SQLITE_OK && is_on == 0);
    CHECK(sqlite3_create_function(db, "f", 1, SQLITE_UTF8, 0, nothing, 0, 0) == SQLITE_ERROR);
    CHECK(sqlite3_create_function(db, "ABS", 1, SQLITE_UTF8, 0, 0, 0, 0) == SQLITE_ERROR);
    CHECK(sqlite3_create_collation(db, "nocase", SQLITE_UTF8, 0, 0) == SQLITE_ERROR);
  }
  CHECK(sqlite3_close(db) == SQLITE_OK);
}

static int asked = 0;
static int ask(void *argument, int attempt) {
  CHECK(attempt == asked);
  return ++asked < *(int *)argument;
}

static void files(const char *directory) {
  char *path = sqlite3_mprintf("%s/check.db", directory);
  sqlite3 *one = 0, *other = 0;
  CHECK(sqlite3_open(path, &one) == SQLITE_OK);
  run(one, "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  CHECK(sqlite3_open_v2(path, &other, SQLITE_OPEN_READWRITE, 0) == SQLITE_OK);
  TEXT(strrchr(sqlite3_db_filename(one, "main"), '/'), "/check.db");
  CHECK(sqlite3_db_readonly(one, "main") == 0 && sqlite3_db_readonly(one, "none") == -1);
  run(one, "ATTACH ':memory:' AS aux1; ATTACH ':memory:' AS aux2; CREATE TABLE aux2.u(b VARCHAR(9) COLLATE NOCASE)");
  TEXT(sqlite3_db_name(one, 0), "main");
  TEXT(sqlite3_db_name(one, 3), "aux2");
  CHECK(sqlite3_db_name(one, 4) == 0);
  TEXT(sqlite3_db_filename(one, "aux1"), "");
  CHECK(sqlite3_db_filename(one, "none") == 0);
  CHECK(sqlite3_db_readonly(one, "aux2") == 0 && sqlite3_txn_state(one, "aux2") == 0);
  run(one, "BEGIN; INSERT INTO aux2.u VALUES('x')");
  CHECK(sqlite3_txn_state(one, "aux2") == 2 && sqlite3_txn_state(one, "main") == 0 && sqlite3_txn_state(one, 0) == 2);
  CHECK(sqlite3_exec(one, "DETACH aux2", 0, 0, 0) == SQLITE_ERROR);
  TEXT(sqlite3_errmsg(one), "database aux2 is locked");
  run(one, "COMMIT");
  const char *declared = 0, *collation = 0;
  CHECK(sqlite3_table_column_metadata(one, "aux2", "u", "b", &declared, &collation, 0, 0, 0) == SQLITE_OK);
  TEXT(declared, "VARCHAR(9)");
  TEXT(collation, "NOCASE");
  CHECK(sqlite3_table_column_metadata(one, "aux1", "u", "b", 0, 0, 0, 0, 0) == SQLITE_ERROR);
  run(one, "DETACH aux1; DETACH aux2");
  CHECK(sqlite3_db_name(one, 2) == 0);
  run(one, "BEGIN IMMEDIATE");
  CHECK(sqlite3_exec(other, "BEGIN IMMEDIATE", 0, 0, 0) == SQLITE_BUSY);
  TEXT(sqlite3_errmsg(other), "database is locked");
  int tries = 3;
  CHECK(sqlite3_busy_handler(other, ask, &tries) == SQLITE_OK);
  CHECK(sqlite3_exec(other, "BEGIN IMMEDIATE", 0, 0, 0) == SQLITE_BUSY && asked == 3);
  CHECK(sqlite3_busy_timeout(other, 20) == SQLITE_OK);
  CHECK(sqlite3_exec(other, "BEGIN IMMEDIATE", 0, 0, 0) == SQLITE_BUSY && asked == 3);
  // The pragma takes the handler's place, too, also with no time.
  const char *timeouts[] = {"PRAGMA busy_timeout = 1", "PRAGMA busy_timeout = 0"};
  for (int index = 0; index < 2; index++) {
    asked = 0;
    CHECK(sqlite3_busy_handler(other, ask, &tries) == SQLITE_OK);
    run(other, "PRAGMA busy_timeout");
    CHECK(sqlite3_exec(other, "BEGIN IMMEDIATE", 0, 0, 0) == SQLITE_BUSY && asked == 3);
    run(other, timeouts[index]);
    CHECK(sqlite3_exec(other, "BEGIN IMMEDIATE", 0, 0, 0) == SQLITE_BUSY && asked == 3);
  }
  run(one, "INSERT INTO t VALUES(2); COMMIT");
  run(other, "BEGIN IMMEDIATE; INSERT INTO t VALUES(3); COMMIT");
  CHECK(sqlite3_close(other) == SQLITE_OK && sqlite3_close(one) == SQLITE_OK);
  CHECK(sqlite3_open_v2(path, &one, SQLITE_OPEN_READONLY, 0) == SQLITE_OK);
  CHECK(sqlite3_db_readonly(one, "main") == 1);
  CHECK(sqlite3_exec(one, "INSERT INTO t VALUES(4)", 0, 0, 0) == SQLITE_READONLY);
  TEXT(sqlite3_errmsg(one), "attempt to write a readonly database");
  CHECK(sqlite3_close(one) == SQLITE_OK);
  sqlite3_free(path);
}

static void names_of_files(const char *directory) {
  char file[1024], name[1024];
  sqlite3 *db = 0;
  snprintf(file, sizeof file, "%s/named.db", directory);
  snprintf(name, sizeof name, "%s/link.db", directory);
  CHECK(sqlite3_open(file, &db) == SQLITE_OK);
  run(db, "CREATE TABLE t(a)");
  CHECK(sqlite3_close(db) == SQLITE_OK && symlink("named.db", name) == 0);
  CHECK(sqlite3_open_v2(name, &db, SQLITE_OPEN_READWRITE, 0) == SQLITE_OK && sqlite3_close(db) == SQLITE_OK);
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW;
  CHECK(sqlite3_open_v2(name, &db, flags, 0) == SQLITE_CANTOPEN);
  CHECK(sqlite3_extended_errcode(db) == SQLITE_CANTOPEN_SYMLINK);
  CHECK(sqlite3_close(db) == SQLITE_OK);
  CHECK(sqlite3_open_v2(name, &db, flags | SQLITE_OPEN_EXRESCODE, 0) == SQLITE_CANTOPEN_SYMLINK);
  CHECK(sqlite3_errcode(db) == SQLITE_CANTOPEN_SYMLINK && sqlite3_close(db) == SQLITE_OK);
  snprintf(name, sizeof name, "file:%s/link.db", directory);
  CHECK(sqlite3_open_v2(name, &db, flags | SQLITE_OPEN_URI, 0) == SQLITE_CANTOPEN && sqlite3_close(db) == SQLITE_OK);
  CHECK(sqlite3_open_v2(file, &db, flags, 0) == SQLITE_OK);
  snprintf(name, sizeof name, "ATTACH '%s/link.db' AS linked", directory);
  CHECK(sqlite3_exec(db, name, 0, 0, 0) == SQLITE_CANTOPEN);
  CHECK(sqlite3_close(db) == SQLITE_OK);
  if (!is_apus()) return;

  // Names that are not UTF-8 are refused, and no other file is made instead.
  snprintf(name, sizeof name, "%s/not\xff.db", directory);
  CHECK(sqlite3_open(name, &db) == SQLITE_CANTOPEN && sqlite3_close(db) == SQLITE_OK);
  snprintf(name, sizeof name, "file:%s/not%%ff.db", directory);
  flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI;
  CHECK(sqlite3_open_v2(name, &db, flags, 0) == SQLITE_CANTOPEN && sqlite3_close(db) == SQLITE_OK);
  CHECK(sqlite3_open(file, &db) == SQLITE_OK);
  snprintf(name, sizeof name, "ATTACH '%s/not\xff.db' AS other", directory);
  CHECK(sqlite3_exec(db, name, 0, 0, 0) == SQLITE_CANTOPEN);
  snprintf(name, sizeof name, "VACUUM INTO '%s/not\xff.db'", directory);
  CHECK(sqlite3_exec(db, name, 0, 0, 0) == SQLITE_CANTOPEN);
  CHECK(sqlite3_close(db) == SQLITE_OK);
  snprintf(name, sizeof name, "%s/not\xef\xbf\xbd.db", directory);
  CHECK(access(name, F_OK) != 0);
}

static void log_figures(const char *directory) {
  char file[1024];
  sqlite3 *db = 0;
  int frames = 7, copied = 7;
  snprintf(file, sizeof file, "%s/log.db", directory);
  CHECK(sqlite3_open(file, &db) == SQLITE_OK);
  // SQLITE_CHECKPOINT_NOOP, which older headers do not have.
  if (sqlite3_libversion_number() >= 3051000) {
    CHECK(sqlite3_wal_checkpoint_v2(db, 0, -1, &frames, &copied) == SQLITE_OK && frames == -1 && copied == -1);
    run(db, "PRAGMA journal_mode = WAL; CREATE TABLE t(a)");
    CHECK(sqlite3_wal_checkpoint_v2(db, 0, -1, &frames, &copied) == SQLITE_OK && frames > 0 && copied == 0);
    int before = frames;
    CHECK(sqlite3_wal_checkpoint_v2(db, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &copied) == SQLITE_OK);
    CHECK(frames == before && copied == before);
    CHECK(sqlite3_wal_checkpoint_v2(db, "main", -1, &frames, &copied) == SQLITE_OK && frames == before && copied == before);
  }
  CHECK(sqlite3_wal_checkpoint_v2(db, 0, 4, &frames, &copied) == SQLITE_MISUSE);
  CHECK(sqlite3_close(db) == SQLITE_OK);
}

static void *insert_rows(void *argument) {
  sqlite3 *db = argument;
  for (int row = 0; row < 200; row++) {
    sqlite3_stmt *statement = 0;
    if (sqlite3_prepare_v2(db, "INSERT INTO t VALUES(?)", -1, &statement, 0) != SQLITE_OK) return (void *)1;
    sqlite3_bind_int(statement, 1, row);
    if (sqlite3_step(statement) != SQLITE_DONE) return (void *)1;
    if (sqlite3_finalize(statement) != SQLITE_OK) return (void *)1;
  }
  return 0;
}

// One connection, several threads: calls are serialized.
static void threads(void) {
  sqlite3 *db = memory();
  pthread_t ids[4];
  run(db, "CREATE TABLE t(a)");
  for (int index = 0; index < 4; index++) pthread_create(&ids[index], 0, insert_rows, db);
  for (int index = 0; index < 4; index++) {
    void *result = 0;
    pthread_join(ids[index], &result);
    CHECK(result == 0);
  }
  sqlite3_stmt *statement = prepare(db, "SELECT count(*) FROM t");
  CHECK(sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_int(statement, 0) == 800);
  sqlite3_finalize(statement);
  CHECK(sqlite3_close(db) == SQLITE_OK);
}

static int number(sqlite3 *db, const char *sql) {
  sqlite3_stmt *statement = prepare(db, sql);
  int found = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int(statement, 0) : -1;
  sqlite3_finalize(statement);
  return found;
}

static void backups(const char *directory) {
  char path[4096];
  sqlite3 *db = memory(), *copy = 0;
  snprintf(path, sizeof path, "%s/backup.db", directory);
  CHECK(sqlite3_open(path, &copy) == SQLITE_OK);
  run(db, "CREATE TABLE t(a, b); WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c WHERE x < 900)"
          " INSERT INTO t SELECT x, hex(randomblob(50)) FROM c");
  CHECK(sqlite3_backup_init(copy, "nix", db, "main") == 0);
  TEXT(sqlite3_errmsg(copy), "unknown database nix");
  CHECK(sqlite3_backup_init(db, "main", db, "main") == 0);
  TEXT(sqlite3_errmsg(db), "source and destination must be distinct");
  sqlite3_backup *backup = sqlite3_backup_init(copy, "main", db, "main");
  CHECK(backup != 0);
  CHECK(sqlite3_backup_remaining(backup) == 0 && sqlite3_backup_pagecount(backup) == 0);
  CHECK(sqlite3_backup_step(backup, 3) == SQLITE_OK);
  CHECK(sqlite3_backup_pagecount(backup) > 20);
  CHECK(sqlite3_backup_remaining(backup) == sqlite3_backup_pagecount(backup) - 3);
  CHECK(sqlite3_close(db) == SQLITE_BUSY);
  run(db, "UPDATE t SET b = 'x' WHERE a < 20");
  CHECK(sqlite3_backup_step(backup, -1) == SQLITE_DONE);
  CHECK(sqlite3_backup_finish(backup) == SQLITE_OK);
  CHECK(number(copy, "SELECT count(*) FROM t WHERE b = 'x'") == 19);

  sqlite3_int64 size = 0;
  unsigned char *bytes = sqlite3_serialize(copy, "main", &size, 0);
  CHECK(bytes != 0 && size > 4096);
  sqlite3_close(copy);
  sqlite3 *other = memory();
  CHECK(sqlite3_deserialize(other, "main", bytes, size, size,
                            SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE) == SQLITE_OK);
  CHECK(number(other, "SELECT count(*) FROM t") == 900);
  run(other, "DELETE FROM t WHERE a > 100; INSERT INTO t SELECT a, randomblob(9000) FROM t");
  CHECK(number(other, "SELECT count(*) FROM t") == 200);
  sqlite3_int64 now = 0;
  unsigned char *inside = sqlite3_serialize(other, "main", &now, SQLITE_SERIALIZE_NOCOPY);
  CHECK(inside != 0 && now > size && memcmp(inside, "SQLite format 3", 16) == 0);
  static unsigned char fixed[1 << 20];
  unsigned char *small = sqlite3_serialize(db, "main", &now, 0);
  CHECK(now <= (sqlite3_int64)sizeof fixed);
  memcpy(fixed, small, now);
  sqlite3_free(small);
  CHECK(sqlite3_deserialize(db, "main", fixed, now, now, 0) == SQLITE_OK);
  CHECK(sqlite3_exec(db, "INSERT INTO t SELECT a, randomblob(2000) FROM t", 0, 0, 0) == SQLITE_FULL);
  CHECK(sqlite3_deserialize(db, "main", fixed, now, now, SQLITE_DESERIALIZE_READONLY) == SQLITE_OK);
  CHECK(sqlite3_exec(db, "DELETE FROM t", 0, 0, 0) == SQLITE_READONLY);
  sqlite3_close(other);
  sqlite3_close(db);
}

// The memory that a database was made of is the database's, not its name's.
static void buffers(void) {
  sqlite3 *db = memory(), *source = memory();
  sqlite3_int64 size = 0, now = 0;
  run(source, "CREATE TABLE t(a); INSERT INTO t VALUES(zeroblob(1000000))");
  unsigned char *bytes = sqlite3_serialize(source, "main", &size, 0);
  run(db, "ATTACH ':memory:' AS other");
  CHECK(sqlite3_deserialize(db, "other", bytes, size, size, SQLITE_DESERIALIZE_FREEONCLOSE) == SQLITE_OK);
  CHECK(sqlite3_serialize(db, "OTHER", &now, SQLITE_SERIALIZE_NOCOPY) != 0 && now == size);
  sqlite3_int64 before = sqlite3_memory_used();
  run(db, "DETACH other");
  CHECK(sqlite3_memory_used() <= before - size);
  run(db, "ATTACH ':memory:' AS other; CREATE TABLE other.u(a)");
  CHECK(sqlite3_serialize(db, "other", &now, SQLITE_SERIALIZE_NOCOPY) == 0 && now > 0);
  CHECK(sqlite3_close(db) == SQLITE_OK && sqlite3_close(source) == SQLITE_OK);
}

static void endings(const char *directory) {
  char file[1024];
  sqlite3 *db = 0, *other = 0, *copy = memory();
  snprintf(file, sizeof file, "%s/endings.db", directory);
  CHECK(sqlite3_open(file, &db) == SQLITE_OK && sqlite3_open(file, &other) == SQLITE_OK);
  // A zombie with a backup ends with the backup, and gives its locks back.
  run(db, "PRAGMA locking_mode = EXCLUSIVE; CREATE TABLE t(a, b); INSERT INTO t VALUES(1, zeroblob(9000))");
  sqlite3_backup *backup = sqlite3_backup_init(copy, "main", db, "main");
  CHECK(backup != 0 && sqlite3_backup_step(backup, 1) == SQLITE_OK);
  CHECK(sqlite3_close_v2(db) == SQLITE_OK);
  CHECK(sqlite3_exec(other, "SELECT * FROM t", 0, 0, 0) == SQLITE_BUSY);
  CHECK(sqlite3_backup_step(backup, -1) == SQLITE_DONE && sqlite3_backup_finish(backup) == SQLITE_OK);
  CHECK(number(copy, "SELECT a FROM t") == 1 && number(other, "SELECT a FROM t") == 1);
  // The last one takes the log away.
  char log[1100];
  snprintf(file, sizeof file, "%s/logged.db", directory);
  snprintf(log, sizeof log, "%s-wal", file);
  CHECK(sqlite3_open(file, &db) == SQLITE_OK);
  run(db, "PRAGMA journal_mode = WAL; CREATE TABLE t(a, b); INSERT INTO t VALUES(1, zeroblob(9000))");
  backup = sqlite3_backup_init(copy, "main", db, "main");
  CHECK(sqlite3_backup_step(backup, 1) == SQLITE_OK && sqlite3_close_v2(db) == SQLITE_OK && access(log, F_OK) == 0);
  CHECK(sqlite3_backup_finish(backup) == SQLITE_OK && access(log, F_OK) != 0);
  snprintf(file, sizeof file, "%s/endings.db", directory);
  // The same for the one that is written to.
  backup = sqlite3_backup_init(copy, "main", other, "main");
  CHECK(sqlite3_backup_step(backup, 1) == SQLITE_OK && sqlite3_close_v2(copy) == SQLITE_OK);
  CHECK(sqlite3_backup_finish(backup) == SQLITE_OK);

  // Nothing may be written when the connection is closed: it is closed all the same, and the next one recovers the file.
  run(other, "PRAGMA cache_size = 10; DELETE FROM t;"
             "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000)"
             " INSERT INTO t SELECT x, zeroblob(3000) FROM n;"
             "BEGIN; UPDATE t SET b = randomblob(3000)");
  struct rlimit all, none;
  getrlimit(RLIMIT_FSIZE, &all);
  none = all;
  none.rlim_cur = 0;
  signal(SIGXFSZ, SIG_IGN);
  fflush(stdout);
  setrlimit(RLIMIT_FSIZE, &none);
  int code = sqlite3_close(other);
  setrlimit(RLIMIT_FSIZE, &all);
  CHECK(code == SQLITE_OK);
  CHECK(sqlite3_open(file, &db) == SQLITE_OK);
  CHECK(number(db, "SELECT count(*) FROM t WHERE b = zeroblob(3000)") == 1000);
  CHECK(sqlite3_close(db) == SQLITE_OK);
}

static void memory_given_back(const char *directory) {
  char name[1024];
  snprintf(name, sizeof name, "%s/held.db", directory);
  sqlite3 *db = 0, *reader = 0;
  CHECK(sqlite3_open(name, &db) == SQLITE_OK && sqlite3_open(name, &reader) == SQLITE_OK);
  run(db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b);"
          "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 300) INSERT INTO t SELECT x, zeroblob(3000) FROM n");
  CHECK(number(db, "SELECT sum(length(b)) FROM t") == 900000);
  sqlite3_stmt *statement = prepare(db, "SELECT a FROM t ORDER BY a");
  CHECK(sqlite3_step(statement) == SQLITE_ROW);
  CHECK(sqlite3_db_release_memory(db) == SQLITE_OK);
  for (int row = 1; row <= 300; row++) {
    CHECK(sqlite3_column_int(statement, 0) == row);
    if (row % 100 == 0) CHECK(sqlite3_release_memory(1 << 30) >= 0);
    CHECK(sqlite3_step(statement) == (row < 300 ? SQLITE_ROW : SQLITE_DONE));
  }
  sqlite3_finalize(statement);
  CHECK(number(db, "SELECT count(*) FROM t") == 300);
  CHECK(sqlite3_release_memory(0) == 0);

  CHECK(sqlite3_db_cacheflush(db) == SQLITE_OK);
  run(db, "BEGIN; UPDATE t SET b = 1");
  statement = prepare(reader, "SELECT a FROM t");
  CHECK(sqlite3_step(statement) == SQLITE_ROW);
  CHECK(sqlite3_db_cacheflush(db) == SQLITE_BUSY);
  CHECK(sqlite3_errcode(db) == SQLITE_OK);
  sqlite3_finalize(statement);
  CHECK(sqlite3_db_cacheflush(db) == SQLITE_OK);
  /* The file is written: nobody may read it before the end of the transaction. */
  CHECK(sqlite3_exec(reader, "SELECT count(*) FROM t", 0, 0, 0) == SQLITE_BUSY);
  CHECK(sqlite3_db_release_memory(db) == SQLITE_OK);
  run(db, "ROLLBACK");
  CHECK(number(reader, "SELECT sum(length(b)) FROM t") == 900000);
  CHECK(sqlite3_soft_heap_limit64(-1) == 0 && sqlite3_hard_heap_limit64(-1) == 0);
  CHECK(sqlite3_close(reader) == SQLITE_OK && sqlite3_close(db) == SQLITE_OK);
}

int main(int count, char **arguments) {
  errors();
  misuse();
  columns();
  parameters();
  executing();
  compiled_again();
  texts();
  huge_texts();
  refusals();
  files(count > 1 ? arguments[1] : ".");
  names_of_files(count > 1 ? arguments[1] : ".");
  log_figures(count > 1 ? arguments[1] : ".");
  buffers();
  endings(count > 1 ? arguments[1] : ".");
  backups(count > 1 ? arguments[1] : ".");
  memory_given_back(count > 1 ? arguments[1] : ".");
  threads();
  printf("%d checks, %d failed (SQLite %s)\n", checks, failures, sqlite3_libversion());
  return failures != 0;
}
