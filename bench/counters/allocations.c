// Counts what a program asks of malloc and its kin, in all its threads. The Swift runtime is linked statically, but
// even its allocations go through the C library's symbols, which stay replaceable.
//
//   MARTLET_ALLOCATIONS=FILE LD_PRELOAD=…/allocations.so PROGRAM…      scripts/check-budgets does this
//
// At exit FILE gets one line, the number. Releases are not counted: each needs an allocation before it.

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

// glibc's own names of what we replace. dlsym(RTLD_NEXT) would allocate before there is an allocator.
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static _Atomic uint64_t allocations;

static void count(void) { atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed); }

void *malloc(size_t size) { return count(), __libc_malloc(size); }

void *calloc(size_t number, size_t size) { return count(), __libc_calloc(number, size); }

void *realloc(void *old, size_t size) { return count(), __libc_realloc(old, size); }

void *memalign(size_t alignment, size_t size) { return count(), __libc_memalign(alignment, size); }

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **result, size_t alignment, size_t size) {
    if (alignment % sizeof(void *) || alignment & (alignment - 1) || !alignment) return EINVAL;
    void *block = memalign(alignment, size);
    if (!block) return ENOMEM;
    *result = block;
    return 0;
}

__attribute__((destructor)) static void finished(void) {
    // Read first: opening the file allocates.
    uint64_t sum = atomic_load(&allocations);
    const char *out = getenv("MARTLET_ALLOCATIONS");
    FILE *file = out ? fopen(out, "w") : NULL;
    if (!file || fprintf(file, "%" PRIu64 "\n", sum) < 0 || fclose(file) != 0) perror("MARTLET_ALLOCATIONS");
}
