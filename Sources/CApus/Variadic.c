// The variadic entry points of SQLite's C API. See CApus.h.
#define _POSIX_C_SOURCE 200809L
#include "CApus.h"

#include <string.h>

#define EXPORT __attribute__((visibility("default")))

// The most arguments that one format may name; formats of the API's own callers have a handful.
enum { argument_count_max = 128 };

// A character as UTF-8, with a NUL behind it.
static size_t encode(unsigned character, char *bytes) {
  size_t count = 0;
  if (character < 0x80) {
    bytes[count++] = (char)character;
  } else if (character < 0x800) {
    bytes[count++] = (char)(0xc0 | character >> 6);
    bytes[count++] = (char)(0x80 | (character & 0x3f));
  } else if (character < 0x10000) {
    bytes[count++] = (char)(0xe0 | character >> 12);
    bytes[count++] = (char)(0x80 | (character >> 6 & 0x3f));
    bytes[count++] = (char)(0x80 | (character & 0x3f));
  } else {
    bytes[count++] = (char)(0xf0 | (character >> 18 & 0x07));
    bytes[count++] = (char)(0x80 | (character >> 12 & 0x3f));
    bytes[count++] = (char)(0x80 | (character >> 6 & 0x3f));
    bytes[count++] = (char)(0x80 | (character & 0x3f));
  }
  bytes[count] = 0;
  return character == 0 ? 0 : count;
}

// The bytes of the first `limit` characters of UTF-8, or of those before a NUL. Nothing behind them is looked at, except where the
// last one is cut off: the memory may end with them.
static size_t characters_size(const char *text, int64_t limit) {
  size_t size = 0;
  for (; limit > 0 && text[size]; limit--) {
    unsigned char first = (unsigned char)text[size++];
    int rest = first < 0xc0 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    while (rest-- > 0 && (text[size] & 0xc0) == 0x80) size++;
  }
  return size;
}

typedef struct arguments {
  apus_argument list[argument_count_max];
  int count;
  // What %z gave away.
  char *given[argument_count_max];
  int given_count;
  // The characters of %c.
  char characters[argument_count_max][8];
} arguments;

// Takes from `list` the arguments that `format` names, in SQLite's dialect of printf, up to a letter that is not known,
// which ends the formatted text too. Source: https://sqlite.org/printf.html
static void collect(const char *format, va_list list, arguments *found) {
  found->count = 0;
  found->given_count = 0;
  for (const char *at = format; *at && found->count + 3 < argument_count_max; at++) {
    if (*at != '%') continue;
    at++;
    int counts_characters = 0;
    while (*at && strchr("-+ #!0,", *at)) counts_characters |= *at++ == '!';
    int64_t precision = -1;
    for (int part = 0; part < 2; part++) {
      if (part == 1) {
        if (*at != '.') break;
        at++;
        precision = 0;
      }
      if (*at == '*') {
        int size = va_arg(list, int);
        if (part == 1) precision = size < 0 ? -(int64_t)size : size;
        found->list[found->count++] = (apus_argument){.kind = 'i', .integer = size};
        at++;
      } else {
        for (; *at >= '0' && *at <= '9'; at++) {
          if (part == 1 && precision < 1000000000) precision = precision * 10 + (*at - '0');
        }
      }
    }
    int long_count = 0;
    while (*at == 'l' && long_count < 2) {
      long_count++;
      at++;
    }
    apus_argument *next = &found->list[found->count];
    memset(next, 0, sizeof *next);
    switch (*at) {
      case 'd': case 'i': case 'r':
        next->integer = long_count == 0 ? va_arg(list, int)
                        : long_count == 1 ? va_arg(list, long) : va_arg(list, long long);
        break;
      case 'u': case 'x': case 'X': case 'o':
        next->integer = long_count == 0 ? va_arg(list, unsigned)
                        : long_count == 1 ? (int64_t)va_arg(list, unsigned long)
                                          : (int64_t)va_arg(list, unsigned long long);
        break;
      case 'p': next->integer = (int64_t)(intptr_t)va_arg(list, void *); break;
      case 'e': case 'E': case 'f': case 'g': case 'G':
        next->kind = 'd';
        next->real = va_arg(list, double);
        break;
      case 'c':
        next->text = found->characters[found->count];
        next->integer = (int64_t)encode(va_arg(list, unsigned), found->characters[found->count]);
        next->kind = 's';
        break;
      case 's': case 'q': case 'Q': case 'w': case 'z': case 'j': case 'J': {
        char *text = va_arg(list, char *);
        if (*at == 'z' && text) found->given[found->given_count++] = text;
        next->text = text;
        // With a precision the text need not end in a NUL.
        if (text) {
          next->integer = (int64_t)(precision < 0 ? strlen(text)
                                    : counts_characters ? characters_size(text, precision)
                                                        : strnlen(text, (size_t)precision));
        }
        next->kind = 's';
        break;
      }
      case 'n': (void)va_arg(list, int *); continue;
      case '%': continue;
      default: return;
    }
    if (!next->kind) next->kind = 'i';
    found->count++;
  }
}

EXPORT char *sqlite3_vmprintf(const char *format, va_list list) {
  if (!format) return 0;
  arguments found;
  collect(format, list, &found);
  char *text = apus_format(format, found.list, found.count);
  for (int index = 0; index < found.given_count; index++) apus_free(found.given[index]);
  return text;
}

EXPORT char *sqlite3_mprintf(const char *format, ...) {
  va_list list;
  va_start(list, format);
  char *text = sqlite3_vmprintf(format, list);
  va_end(list);
  return text;
}

EXPORT char *sqlite3_vsnprintf(int size, char *buffer, const char *format, va_list list) {
  if (size <= 0 || !buffer) return buffer;
  char *text = sqlite3_vmprintf(format, list);
  size_t length = text ? strlen(text) : 0;
  if (length >= (size_t)size) length = (size_t)size - 1;
  if (text) memcpy(buffer, text, length);
  buffer[length] = 0;
  apus_free(text);
  return buffer;
}

EXPORT char *sqlite3_snprintf(int size, char *buffer, const char *format, ...) {
  va_list list;
  va_start(list, format);
  sqlite3_vsnprintf(size, buffer, format, list);
  va_end(list);
  return buffer;
}

EXPORT int sqlite3_config(int verb, ...) { return apus_config(verb); }

// Source: https://sqlite.org/c3ref/c_dbconfig_defensive.html
EXPORT int sqlite3_db_config(void *database, int verb, ...) {
  va_list list;
  va_start(list, verb);
  // 1000 takes a name, 1001 memory; the verbs from 1002 on take (int value, int *result).
  int value = verb >= 1002 ? va_arg(list, int) : 0;
  int *result = verb >= 1002 ? va_arg(list, int *) : 0;
  va_end(list);
  return apus_db_config(database, verb, value, result);
}

// What sqlite3_libversion() says: check.c compares the two.
EXPORT extern const char sqlite3_version[];
const char sqlite3_version[] = "3.54.1";

EXPORT void sqlite3_log(int code, const char *format, ...) {
  // No log callback can be registered yet (sqlite3_config refuses it), so nobody listens.
  (void)code;
  (void)format;
}
