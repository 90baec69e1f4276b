// Preloaded into a program, fails the nth call of libc that the program, SQLite or libmosquitto makes.
//
//   FAIL_AT=n          which call; 0 or unset: none, until failures_arm is called
//   FAIL_FOR_GOOD=1    also every later call of the same function
//   FAIL_LOG=FILE      at exit: how many calls there were; at the failure: which function it was
//   FAIL_SKIP=FILE     lines "START END", in hexadecimal: parts of the program whose calls do not fail, because they are
//                      a runtime's that is linked into it
//
// Memory is left out: Swift has no answer to a malloc that fails but to end, and Linux overcommits instead of failing.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static atomic_long calls;
static atomic_long fail_at;
static struct { uintptr_t start, end; } *skipped;
static size_t skips;
static int for_good;
static const char *log_path;
static _Atomic(const char *) failing;

static void report(const char *word, const char *name, long count) {
    if (!log_path) return;
    static int (*real_open)(const char *, int, ...);
    static ssize_t (*real_write)(int, const void *, size_t);
    if (!real_open) real_open = dlsym(RTLD_NEXT, "open"), real_write = dlsym(RTLD_NEXT, "write");
    char line[160];
    int length = snprintf(line, sizeof line, "%s %s %ld\n", word, name, count);
    int file = real_open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) return;
    real_write(file, line, length);
    close(file);
}

/// Read before anything is counted.
static void read_skips(const char *path) {
    FILE *file = path ? fopen(path, "re") : NULL;
    if (!file) return;
    unsigned long start, end;
    while (fscanf(file, "%lx %lx", &start, &end) == 2) {
        skipped = realloc(skipped, (skips + 1) * sizeof *skipped);
        if (!skipped) abort();
        skipped[skips].start = start, skipped[skips++].end = end;
    }
    fclose(file);
}

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("FAIL_AT");
    atomic_store(&fail_at, text ? atol(text) : 0);
    for_good = getenv("FAIL_FOR_GOOD") != NULL;
    log_path = getenv("FAIL_LOG");
    read_skips(getenv("FAIL_SKIP"));
}

__attribute__((destructor)) static void end(void) { report("calls", "all", atomic_load(&calls)); }

/// Whether the caller is one of those whose answer to a failure is ours to prove; the runtimes of C and Swift are not.
static int is_ours(void *caller) {
    Dl_info info;
    if (!dladdr(caller, &info) || !info.dli_fname) return 0;
    const char *slash = strrchr(info.dli_fname, '/');
    const char *name = slash ? slash + 1 : info.dli_fname;
    if (!strncmp(name, "martlet", 7)) {
        uintptr_t place = (uintptr_t)caller - (uintptr_t)info.dli_fbase;
        for (size_t at = 0; at < skips; at++)
            if (place >= skipped[at].start && place < skipped[at].end) return 0;
        return 1;
    }
    return !strncmp(name, "libsqlite3", 10) || !strncmp(name, "libmosquitto", 12);
}

/// Counts from here on: the nth call fails, alone or with every later one of the same function; 0: none. For tests, which
/// find it by dlsym. Returns the calls so far.
long failures_arm(long nth, int all) {
    long number = atomic_exchange(&calls, 0);
    atomic_store(&failing, NULL);
    for_good = all;
    atomic_store(&fail_at, nth);
    return number;
}

static int fails(const char *name, void *caller) {
    if (!is_ours(caller)) return 0;
    long number = atomic_fetch_add(&calls, 1) + 1;
    const char *chosen = atomic_load(&failing);
    if (chosen) return for_good && !strcmp(chosen, name);
    long at = atomic_load(&fail_at);
    if (!at || number != at) return 0;
    atomic_store(&failing, name);
    report("fails", name, number);
    return 1;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define WRAP(type, name, parameters, arguments, error, result) \
    type name parameters { \
        REAL(name); \
        if (fails(#name, __builtin_return_address(0))) { \
            errno = error; \
            return result; \
        } \
        return real arguments; \
    }

#define WRAP_OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        va_list list; \
        va_start(list, flags); \
        int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, int) : 0; \
        va_end(list); \
        if (fails(#name, __builtin_return_address(0))) { \
            errno = EMFILE; \
            return -1; \
        } \
        return real(path, flags, mode); \
    }

WRAP_OPEN(open)
WRAP_OPEN(open64)
WRAP(ssize_t, read, (int f, void *p, size_t n), (f, p, n), EIO, -1)
WRAP(ssize_t, pread, (int f, void *p, size_t n, off_t o), (f, p, n, o), EIO, -1)
WRAP(ssize_t, pread64, (int f, void *p, size_t n, off64_t o), (f, p, n, o), EIO, -1)
WRAP(ssize_t, write, (int f, const void *p, size_t n), (f, p, n), ENOSPC, -1)
WRAP(ssize_t, pwrite, (int f, const void *p, size_t n, off_t o), (f, p, n, o), ENOSPC, -1)
WRAP(ssize_t, pwrite64, (int f, const void *p, size_t n, off64_t o), (f, p, n, o), ENOSPC, -1)
WRAP(int, fsync, (int f), (f), EIO, -1)
WRAP(int, fdatasync, (int f), (f), EIO, -1)
WRAP(int, ftruncate, (int f, off_t n), (f, n), EIO, -1)
WRAP(int, ftruncate64, (int f, off64_t n), (f, n), EIO, -1)
WRAP(int, rename, (const char *a, const char *b), (a, b), EIO, -1)
WRAP(int, unlink, (const char *a), (a), EIO, -1)
WRAP(int, mkdir, (const char *a, mode_t m), (a, m), EIO, -1)
WRAP(int, access, (const char *a, int m), (a, m), EIO, -1)
WRAP(int, stat, (const char *restrict a, struct stat *restrict s), (a, s), EIO, -1)
WRAP(int, lstat, (const char *restrict a, struct stat *restrict s), (a, s), EIO, -1)
WRAP(int, fstat, (int f, struct stat *s), (f, s), EIO, -1)
WRAP(int, stat64, (const char *restrict a, struct stat64 *restrict s), (a, s), EIO, -1)
WRAP(int, fstat64, (int f, struct stat64 *s), (f, s), EIO, -1)
WRAP(int, statvfs, (const char *restrict a, struct statvfs *restrict s), (a, s), EIO, -1)
WRAP(DIR *, opendir, (const char *a), (a), EMFILE, NULL)
WRAP(void *, mmap, (void *a, size_t n, int p, int l, int f, off_t o), (a, n, p, l, f, o), ENOMEM, MAP_FAILED)
WRAP(void *, mmap64, (void *a, size_t n, int p, int l, int f, off64_t o), (a, n, p, l, f, o), ENOMEM, MAP_FAILED)
WRAP(int, pipe, (int e[2]), (e), EMFILE, -1)
WRAP(int, socket, (int d, int t, int p), (d, t, p), EMFILE, -1)
WRAP(int, socketpair, (int d, int t, int p, int e[2]), (d, t, p, e), EMFILE, -1)
WRAP(int, connect, (int f, const struct sockaddr *a, socklen_t n), (f, a, n), ENETUNREACH, -1)
WRAP(ssize_t, send, (int f, const void *p, size_t n, int l), (f, p, n, l), ECONNRESET, -1)
WRAP(ssize_t, recv, (int f, void *p, size_t n, int l), (f, p, n, l), ECONNRESET, -1)
WRAP(int, poll, (struct pollfd *p, nfds_t n, int t), (p, n, t), ENOMEM, -1)
WRAP(int, getaddrinfo, (const char *restrict a, const char *restrict b, const struct addrinfo *restrict h,
    struct addrinfo **restrict r), (a, b, h, r), EIO, EAI_AGAIN)
WRAP(int, pthread_create, (pthread_t *restrict t, const pthread_attr_t *restrict a, void *(*s)(void *),
    void *restrict x), (t, a, s, x), EAGAIN, EAGAIN)
WRAP(ssize_t, readlink, (const char *restrict a, char *restrict p, size_t n), (a, p, n), EIO, -1)
WRAP(int, setsockopt, (int f, int l, int o, const void *p, socklen_t n), (f, l, o, p, n), ENOBUFS, -1)
WRAP(ssize_t, getrandom, (void *p, size_t n, unsigned l), (p, n, l), EIO, -1)

int fcntl64(int file, int command, ...) {
    static int (*real)(int, int, ...);
    if (!real) real = (int (*)(int, int, ...))dlsym(RTLD_NEXT, "fcntl64");
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    if (fails("fcntl64", __builtin_return_address(0))) {
        errno = EIO;
        return -1;
    }
    return real(file, command, argument);
}
