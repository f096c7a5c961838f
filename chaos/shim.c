/* Makes calls on files under one directory fail, fall short or take long, as a file says that can change at any time.
 *
 * OPENCLAW_CHAOS_STORE    the directory
 * OPENCLAW_CHAOS_TROUBLE  the file: "ERRNO FAIL SHORT MILLISECONDS"; of a hundred calls so many fail, so many writes are
 *                         short by half. No file: no trouble.
 *
 * ftruncate is left alone: where a disk can neither write nor cut, a refused message may be found after a crash, which is
 * a stated limit. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct trouble { int error, fail, cut, slow; };

static int trouble_now(struct trouble *found) {
    const char *path = getenv("OPENCLAW_CHAOS_TROUBLE");
    if (!path) return 0;
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    int read = fscanf(file, "%d %d %d %d", &found->error, &found->fail, &found->cut, &found->slow);
    fclose(file);
    return read == 4;
}

static int ours(const char *path) {
    const char *store = getenv("OPENCLAW_CHAOS_STORE");
    return store && path && strncmp(path, store, strlen(store)) == 0;
}

static int dice(int percent) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int)((now.tv_nsec / 7) % 100) < percent;
}

/* Returns whether the call has to fail; errno says how. */
static int befall(int is_ours, struct trouble *found) {
    int before = errno;
    memset(found, 0, sizeof *found);
    if (!is_ours || !trouble_now(found)) { memset(found, 0, sizeof *found); errno = before; return 0; }
    if (found->slow) usleep((useconds_t)found->slow * 1000);
    errno = before;
    if (!dice(found->fail)) return 0;
    errno = found->error;
    return 1;
}

static int ours_open(int descriptor) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return ours(path);
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t pwrite(int descriptor, const void *data, size_t count, off_t offset) {
    REAL(pwrite);
    struct trouble found;
    if (befall(ours_open(descriptor), &found)) return -1;
    if (found.cut && count > 1 && dice(found.cut)) count /= 2;
    return real(descriptor, data, count, offset);
}

ssize_t pwrite64(int descriptor, const void *data, size_t count, off64_t offset) {
    REAL(pwrite64);
    struct trouble found;
    if (befall(ours_open(descriptor), &found)) return -1;
    if (found.cut && count > 1 && dice(found.cut)) count /= 2;
    return real(descriptor, data, count, offset);
}

int fsync(int descriptor) {
    REAL(fsync);
    struct trouble found;
    return befall(ours_open(descriptor), &found) ? -1 : real(descriptor);
}

int fdatasync(int descriptor) {
    REAL(fdatasync);
    struct trouble found;
    return befall(ours_open(descriptor), &found) ? -1 : real(descriptor);
}

int rename(const char *source, const char *target) {
    REAL(rename);
    struct trouble found;
    return befall(ours(target), &found) ? -1 : real(source, target);
}

int open64(const char *path, int flags, ...) {
    REAL(open64);
    va_list more;
    va_start(more, flags);
    int mode = (flags & (O_CREAT | __O_TMPFILE)) ? va_arg(more, int) : 0;
    va_end(more);
    struct trouble found;
    if (befall((flags & O_ACCMODE) != O_RDONLY && ours(path), &found)) return -1;
    return real(path, flags, mode);
}
