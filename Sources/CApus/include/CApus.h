// What Swift cannot say: entry points with a variable number of arguments. Each collects its arguments as the format
// string names them and hands an array of tagged values to Swift, which does the work.
#ifndef CAPUS_H
#define CAPUS_H

#include <stdarg.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// One argument of a format.
typedef struct apus_argument {
  /// 'i' an integer, 'd' a double, 's' text (NULL allowed)
  char kind;
  /// The integer, or the text's byte count.
  int64_t integer;
  double real;
  const char *_Nullable text;
} apus_argument;

/// Implemented in Swift: the formatted text, in memory of sqlite3_malloc.
char *_Nullable apus_format(const char *format, const apus_argument *arguments, int count);
/// Implemented in Swift: sqlite3_free.
void apus_free(void *_Nullable memory);
/// Implemented in Swift: the settings that are one integer, and SQLITE_DBCONFIG_LOOKASIDE.
int apus_db_config(void *_Nullable database, int verb, int value, int *_Nullable result);
/// Implemented in Swift: sqlite3_config.
int apus_config(int verb);

#pragma clang assume_nonnull end
#endif
