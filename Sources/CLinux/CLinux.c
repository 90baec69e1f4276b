// CPU_SET and its kin need _GNU_SOURCE before the first system header, so they cannot be inline in CLinux.h.
#define _GNU_SOURCE
#include "CLinux.h"

#include <string.h>

int martlet_bind_to_cpus(const int32_t *cpus, size_t count) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (size_t i = 0; i < count; i++) {
        if (cpus[i] < 0 || cpus[i] >= CPU_SETSIZE) return EINVAL;
        CPU_SET(cpus[i], &set);
    }
    return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : errno;
}

bool martlet_may_run_on(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof set, &set) != 0) return false;
    return CPU_ISSET(cpu, &set);
}

static const char *lost_pages_line;
static size_t lost_pages_length;
static int lost_pages_status;

// Only what signal-safety(7) allows. Other kinds of SIGBUS (alignment, memory errors) die as they would without us:
// SA_RESETHAND has put the default action back, and the access is tried again.
static void on_bus_error(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    if (info->si_code != BUS_ADRERR) return;
    ssize_t written = write(STDERR_FILENO, lost_pages_line, lost_pages_length);
    (void)written;
    _exit(lost_pages_status);
}

void martlet_explain_lost_pages(const char *line, int status) {
    lost_pages_line = line;
    lost_pages_length = strlen(line);
    lost_pages_status = status;
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}

static int crash_descriptor = -1;

static void on_fatal_signal(int number) {
    ssize_t written = pwrite(crash_descriptor, "!", 1, 0);
    (void)written;
    // SA_RESETHAND has put the default action back; this one is delivered when the handler returns.
    raise(number);
}

void martlet_mark_crashes(int descriptor) {
    static const int fatal[] = {SIGSEGV, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
    crash_descriptor = descriptor;
    struct sigaction action = {.sa_handler = on_fatal_signal, .sa_flags = SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) sigaction(fatal[i], &action, NULL);
}

void martlet_start_anew(char *const *arguments) {
    // A signal mask and ignored signals outlive exec; threads of Dispatch block nearly all of them.
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    // Not every library opens its sockets to be closed; before Linux 5.11 these few are found one by one.
    if (syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */) != 0) {
        for (int descriptor = 3; descriptor < 1024; descriptor++) fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    }
    execv("/proc/self/exe", arguments);
}
