/* Has programs see another time of day than the machine's, as a file says that can change at any time.
 *
 * OPENCLAW_CHAOS_CLOCK  the file: 64-bit numbers; a count, and so many pairs of a process (0: all) and of nanoseconds, which
 *                       are added to its time of day.
 *
 * The monotonic clock is left alone, as an administrator who sets the clock leaves it; so are the times of files, which the
 * kernel gives. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define BILLION 1000000000LL
#define SIZE 4096
#define MOST 200

struct shift { int64_t process, nanoseconds; };
struct table { int64_t count; struct shift shifts[MOST]; };

static volatile struct table *table;
static int (*real_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("OPENCLAW_CHAOS_CLOCK");
    if (!path) return;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    void *found = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (found != MAP_FAILED) table = found;
}

static int64_t shift_now(void) {
    if (!table || !table->count) return 0;
    int64_t sum = 0, self = getpid();
    for (int64_t index = 0; index < table->count && index < MOST; index++) {
        int64_t process = table->shifts[index].process;
        if (!process || process == self) sum += table->shifts[index].nanoseconds;
    }
    return sum;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!real_gettime) real_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real_gettime(clock, now);
    if (failed || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return failed;
    int64_t nanoseconds = (int64_t)now->tv_sec * BILLION + now->tv_nsec + shift_now();
    now->tv_sec = (time_t)(nanoseconds / BILLION);
    now->tv_nsec = (long)(nanoseconds % BILLION);
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec exact;
    if (clock_gettime(CLOCK_REALTIME, &exact)) return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *stored) {
    struct timespec exact;
    if (clock_gettime(CLOCK_REALTIME, &exact)) return (time_t)-1;
    if (stored) *stored = exact.tv_sec;
    return exact.tv_sec;
}
