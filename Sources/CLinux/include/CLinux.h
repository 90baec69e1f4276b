// What Swift cannot import from Linux's headers: variadic calls, macros and inline assembly.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/// Sleeps while `*word == expected`; returns at a wake, a signal or at once if it differs.
static inline void martlet_futex_wait(const uint32_t *word, uint32_t expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

/// Wakes at most `count` sleepers on `word`.
static inline void martlet_futex_wake(const uint32_t *word, int count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

/// Tells the core that this is a spin loop.
static inline void martlet_spin_hint(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb" ::: "memory");
#endif
}

/// Lets the calling thread run on these CPUs only. 0 on success, else errno.
int martlet_bind_to_cpus(const int32_t *cpus, size_t count);

/// Whether the calling thread may run on `cpu`.
bool martlet_may_run_on(int cpu);

/// From now on a page of a mapped file that cannot be read ends the process with `line` on stderr and `status`.
///
/// `line` must stay valid for ever. Such a page is behind the end of a file that became shorter, or on a failing disk.
void martlet_explain_lost_pages(const char *line, int status);

/// From now on a signal that a fault of the program raises, or the watchdog, first writes `!` as the first byte of this
/// file. SIGBUS is not among them: it means a card or a file that became shorter.
void martlet_mark_crashes(int descriptor);

/// Starts this program anew in its own place, with all files but the standard ones closed; returns only when that fails.
void martlet_start_anew(char *const *arguments);

/// Names the calling thread (15 bytes at most) for top and gdb.
static inline void martlet_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

static inline uint64_t martlet_hwcap(void) { return getauxval(AT_HWCAP); }
static inline uint64_t martlet_hwcap2(void) { return getauxval(AT_HWCAP2); }

#if defined(__x86_64__)
/// One CPUID leaf; false when the processor does not have it. `out` is eax, ebx, ecx, edx.
static inline bool martlet_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *out) {
    return __get_cpuid_count(leaf, subleaf, &out[0], &out[1], &out[2], &out[3]) != 0;
}

/// XCR0: which vector registers the kernel saves. Call only when CPUID reports OSXSAVE.
static inline uint64_t martlet_xgetbv(void) {
    uint32_t low, high;
    __asm__ __volatile__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((uint64_t)high << 32) | low;
}
#endif

// Atomics on words in memory that Swift allocated: a futex needs the word's address, which Swift's Atomic hides.

static inline uint32_t martlet_load_acquire(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
/// Ordered with every `martlet_fetch_add`, also where the processor may let a load overtake an earlier store.
static inline uint32_t martlet_load_ordered(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
static inline void martlet_store_release(uint32_t *word, uint32_t value) {
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}
/// Adds and returns what was there before; sequentially consistent, so that a sleeper and its waker cannot miss each other.
static inline uint32_t martlet_fetch_add(uint32_t *word, uint32_t value) {
    return __atomic_fetch_add(word, value, __ATOMIC_SEQ_CST);
}
