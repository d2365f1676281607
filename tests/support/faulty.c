/* Calls of the system that fail, or kill, when it is their turn: to be loaded before the C library (`LD_PRELOAD`).
 *
 * Counted are the calls of one process, `armed`, that have to do with files below one directory; what it starts is let
 * alone. With a log, each file that was brought to the disk is noted in it. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, READ = 2, WRITE = 4, SYNC = 8, RENAME = 16, UNLINK = 32, MKDIR = 64, COPY = 128 };

static pid_t armed;
static char root[4096];
static size_t root_length;
static unsigned wanted;
static long turn;
static int cause; /* an errno; 0: kill before the call */
static int lasting; /* whether all that follow fail, too */
static int noted = -1;
static long *count; /* shared with who forked the armed process */

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
    count = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

long faulty_count(void) { return *count; }

void faulty_arm(const char *directory, unsigned kinds, long at, int error, int for_good, const char *log) {
    strncpy(root, directory, sizeof root - 1);
    root_length = strlen(root);
    wanted = kinds;
    turn = at;
    cause = error;
    lasting = for_good;
    *count = 0;
    if (log[0]) noted = NEXT(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    armed = getpid();
}

static int below(const char *path) {
    return strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || path[root_length] == 0);
}

static int ours(int folder, const char *path) {
    char where[4096], link[64];
    ssize_t length;
    if (path[0] == '/') return below(path);
    if (folder == AT_FDCWD) return getcwd(where, sizeof where) != NULL && below(where);
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    length = readlink(link, where, sizeof where - 1);
    if (length < 0) return 0;
    where[length] = 0;
    return below(where);
}

static int ours_open(int fd) {
    struct stat st;
    return fd > 2 && fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) && ours(fd, "");
}

/* Whether it is this call's turn to fail. */
static int strikes(unsigned kind, int counts) {
    long now;
    if (!counts || !(wanted & kind)) return 0;
    now = __atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
    if (turn == 0 || (lasting ? now < turn : now != turn)) return 0;
    if (cause == 0) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    errno = cause;
    return 1;
}

#define ARMED (armed && armed == getpid())
#define FAIL_PATH(kind, folder, path) do { \
    int before = errno; \
    if (ARMED && strikes(kind, ours(folder, path))) return -1; \
    errno = before; } while (0)
#define FAIL_FD(kind, fd) do { \
    int before = errno; \
    if (ARMED && strikes(kind, ours_open(fd))) return -1; \
    errno = before; } while (0)

#define KIND(flags) (((flags) & (O_WRONLY | O_RDWR | O_CREAT)) ? CREATE : READ)
#define OPENS(name) \
    int name(const char *path, int flags, ...) { \
        va_list given; mode_t mode; \
        va_start(given, flags); mode = va_arg(given, mode_t); va_end(given); \
        FAIL_PATH(KIND(flags), AT_FDCWD, path); \
        return NEXT(name)(path, flags, mode); \
    }
#define OPENS_AT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        va_list given; mode_t mode; \
        va_start(given, flags); mode = va_arg(given, mode_t); va_end(given); \
        FAIL_PATH(KIND(flags), folder, path); \
        return NEXT(name)(folder, path, flags, mode); \
    }
OPENS(open)
OPENS(open64)
OPENS_AT(openat)
OPENS_AT(openat64)

ssize_t write(int fd, const void *data, size_t size) { FAIL_FD(WRITE, fd); return NEXT(write)(fd, data, size); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    FAIL_FD(WRITE, fd); return NEXT(pwrite)(fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    FAIL_FD(WRITE, fd); return NEXT(pwrite64)(fd, data, size, at); }
ssize_t writev(int fd, const struct iovec *parts, int number) {
    FAIL_FD(WRITE, fd); return NEXT(writev)(fd, parts, number); }
ssize_t copy_file_range(int from, off64_t *start, int to, off64_t *end, size_t size, unsigned flags) {
    FAIL_FD(WRITE | COPY, to); return NEXT(copy_file_range)(from, start, to, end, size, flags); }
ssize_t sendfile(int to, int from, off_t *start, size_t size);
ssize_t sendfile(int to, int from, off_t *start, size_t size) {
    FAIL_FD(WRITE | COPY, to); return NEXT(sendfile)(to, from, start, size); }
ssize_t sendfile64(int to, int from, off64_t *start, size_t size);
ssize_t sendfile64(int to, int from, off64_t *start, size_t size) {
    FAIL_FD(WRITE | COPY, to); return NEXT(sendfile64)(to, from, start, size); }
int ftruncate(int fd, off_t size) { FAIL_FD(WRITE, fd); return NEXT(ftruncate)(fd, size); }
int ftruncate64(int fd, off64_t size) { FAIL_FD(WRITE, fd); return NEXT(ftruncate64)(fd, size); }
int posix_fallocate(int fd, off_t at, off_t size) {
    if (ARMED && strikes(WRITE, ours_open(fd))) return errno;
    return NEXT(posix_fallocate)(fd, at, size); }

static void note(unsigned long one, unsigned long other, long size, long time) {
    char line[128];
    int length = snprintf(line, sizeof line, "%lu %lu %ld %ld\n", one, other, size, time);
    if (NEXT(write)(noted, line, length) != length) abort();
}

/* A line for what is synced, and for a directory one for each name in it: its own inode and that of the file. */
static int synced(int fd, int result) {
    struct stat st;
    DIR *names;
    struct dirent *name;
    if (result == 0 && noted >= 0 && armed && fstat(fd, &st) == 0) {
        note(st.st_dev, st.st_ino, st.st_size, st.st_mtim.tv_sec * 1000000000L + st.st_mtim.tv_nsec);
        if (S_ISDIR(st.st_mode) && (names = fdopendir(NEXT(openat)(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)))) {
            while ((name = readdir(names)) != NULL) note(st.st_ino, name->d_ino, -1, 0);
            closedir(names);
        }
    }
    return result;
}
int fsync(int fd) { FAIL_FD(SYNC, fd); return synced(fd, NEXT(fsync)(fd)); }
int fdatasync(int fd) { FAIL_FD(SYNC, fd); return synced(fd, NEXT(fdatasync)(fd)); }

int rename(const char *from, const char *to) { FAIL_PATH(RENAME, AT_FDCWD, from); return NEXT(rename)(from, to); }
int renameat(int one, const char *from, int other, const char *to) {
    FAIL_PATH(RENAME, one, from); return NEXT(renameat)(one, from, other, to); }
int link(const char *from, const char *to) { FAIL_PATH(RENAME, AT_FDCWD, to); return NEXT(link)(from, to); }
int linkat(int one, const char *from, int other, const char *to, int flags) {
    FAIL_PATH(RENAME, other, to); return NEXT(linkat)(one, from, other, to, flags); }
int symlink(const char *text, const char *path) {
    FAIL_PATH(RENAME, AT_FDCWD, path); return NEXT(symlink)(text, path); }
int unlink(const char *path) { FAIL_PATH(UNLINK, AT_FDCWD, path); return NEXT(unlink)(path); }
int unlinkat(int folder, const char *path, int flags) {
    FAIL_PATH(UNLINK, folder, path); return NEXT(unlinkat)(folder, path, flags); }
int rmdir(const char *path) { FAIL_PATH(UNLINK, AT_FDCWD, path); return NEXT(rmdir)(path); }
int mkdir(const char *path, mode_t mode) { FAIL_PATH(MKDIR, AT_FDCWD, path); return NEXT(mkdir)(path, mode); }
int mkdirat(int folder, const char *path, mode_t mode) {
    FAIL_PATH(MKDIR, folder, path); return NEXT(mkdirat)(folder, path, mode); }
