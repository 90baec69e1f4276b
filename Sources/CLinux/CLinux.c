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
