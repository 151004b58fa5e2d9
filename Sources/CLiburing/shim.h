// liburing's helpers are static inline functions, which Swift imports as they are.
#include <liburing.h>
