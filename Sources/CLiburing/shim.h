// liburing's helpers are static inline functions, which Swift imports as they are. Below them: the Linux calls that the
// C library declares for GNU sources only, which Swift's view of it leaves out.
// `features.h` first: liburing.h asks for GNU sources, with which the C library's types would no longer be those of Swift's Glibc.
#include <features.h>
#include <liburing.h>

extern ssize_t preadv2(int fd, const struct iovec *vectors, int count, off_t offset, int flags);
extern int fallocate(int fd, int mode, off_t offset, off_t length);
extern ssize_t getrandom(void *buffer, size_t length, unsigned int flags);
extern int eventfd(unsigned int initial, int flags);
extern int malloc_trim(size_t kept);
extern int renameat2(int from, const char *old_name, int to, const char *new_name, unsigned int flags);

#include <semaphore.h>
extern int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *moment);
