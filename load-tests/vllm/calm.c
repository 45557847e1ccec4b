/*
 * Makes two waiting loops sleep instead of spin, for machines with fewer cores than waiting threads. Preload it into vLLM
 * (LD_PRELOAD); it changes how long a wait takes, by at most a millisecond, and nothing else.
 *
 * 1. NIXL's UCX backend (1.5.1) has a progress thread per process that calls poll() with a timeout of zero, over and over. An idle
 *    worker then keeps a core busy. Such a call, and only one that comes from that plugin, waits up to one millisecond here.
 * 2. vLLM's shared-memory message queue (0.32.0) calls sched_yield() for a second after each message. Where the scheduler charges a
 *    yield as if the time slice had been used, the threads that share the core with such a loop wait for seconds. A yield is a
 *    nap of 50 microseconds here.
 *
 * Leave it out when there are cores to spare and latency is what you measure.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#define UCX_PLUGIN "libplugin_UCX"
#define UCX_POLL_MILLIS 1
#define YIELD_NANOS 50000

typedef int (*poll_function)(struct pollfd *, nfds_t, int);

/* Looking up which library an address belongs to is slow, and a polling thread always calls from the same place. */
struct caller {
    const void *address;
    bool is_ucx;
};
static __thread struct caller last_caller;

static bool called_by_ucx(const void *address) {
    if (address != last_caller.address) {
        Dl_info library;
        last_caller.address = address;
        last_caller.is_ucx = dladdr(address, &library) != 0 && library.dli_fname != NULL &&
                             strstr(library.dli_fname, UCX_PLUGIN) != NULL;
    }
    return last_caller.is_ucx;
}

int poll(struct pollfd *descriptors, nfds_t count, int timeout_millis) {
    static poll_function real_poll; /* every thread would store the same value */
    if (real_poll == NULL) {
        real_poll = (poll_function)dlsym(RTLD_NEXT, "poll");
    }
    if (timeout_millis == 0 && called_by_ucx(__builtin_return_address(0))) {
        timeout_millis = UCX_POLL_MILLIS;
    }
    return real_poll(descriptors, count, timeout_millis);
}

int sched_yield(void) {
    const struct timespec nap = {.tv_sec = 0, .tv_nsec = YIELD_NANOS};
    nanosleep(&nap, NULL);
    return 0;
}
