/*
 * Sits between a program and the C library (LD_PRELOAD) and writes down, for every file under one directory, what was
 * written and what was synced. After a kill the test harness rebuilds from this journal what a disk could hold when the
 * power goes: everything synced, and of the rest any part.
 *
 * POWERCUT_DIR      absolute directory to watch
 * POWERCUT_JOURNAL  file to append to; must lie elsewhere
 * POWERCUT_STEP     optional: the program is killed behind this many steps (S, R, U or D) since it wrote to a file "armed"
 *
 * Record, little endian: u8 operation | u32 file | u64 offset | u64 length | length bytes
 *   O open: path, offset bit 0 = created, bit 1 = truncated   W write   T truncate to offset   S synced
 *   R rename: path, NUL, new path   U unlink: path   D directory synced: path
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define FD_MAX 4096
#define PATH_BYTES 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char watched[PATH_BYTES];
static size_t watched_bytes;
static int journal = -2; /* -2 = not looked yet, -1 = not wanted */
static uint32_t file_of[FD_MAX];
static char *directory_of[FD_MAX];
static uint32_t next_file = 1;

static void die(const char *why) {
  dprintf(2, "powercut: %s: %s\n", why, strerror(errno));
  _exit(97);
}

static int is_active(void) {
  if (journal != -2) return journal >= 0;
  const char *directory = getenv("POWERCUT_DIR");
  const char *path = getenv("POWERCUT_JOURNAL");
  if (!directory || !path) {
    journal = -1;
    return 0;
  }
  watched_bytes = strlen(directory);
  if (watched_bytes >= PATH_BYTES) die("POWERCUT_DIR is too long");
  memcpy(watched, directory, watched_bytes + 1);
  int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) die("the journal cannot be opened");
  /* Out of the way of programs that count their descriptors. */
  journal = fcntl(fd, F_DUPFD_CLOEXEC, 1000);
  if (journal < 0) die("the journal cannot be kept");
  syscall(SYS_close, fd);
  return 1;
}

static int is_watched(const char *path) {
  if (!path || strncmp(path, watched, watched_bytes) != 0) return 0;
  return path[watched_bytes] == '/' || path[watched_bytes] == 0;
}

static long steps_left = -1;

static int is_armed_file(const char *path, uint64_t length) {
  return length > 6 && memcmp(path + length - 6, "/armed", 6) == 0;
}

static void count_step(char operation, const void *data, uint64_t length) {
  if (operation == 'O' && is_armed_file(data, length)) {
    const char *step = getenv("POWERCUT_STEP");
    steps_left = step ? atol(step) : -1;
  } else if (steps_left > 0 && strchr("SRUD", operation)) {
    steps_left -= 1;
    if (steps_left == 0) kill(getpid(), SIGKILL);
  }
}

/* One system call for each record, so that a kill leaves whole records and at most one torn at the end. */
static void record(char operation, uint32_t file, uint64_t offset, const void *data, uint64_t length) {
  unsigned char head[21];
  head[0] = (unsigned char)operation;
  memcpy(head + 1, &file, 4);
  memcpy(head + 5, &offset, 8);
  memcpy(head + 13, &length, 8);
  struct iovec parts[2] = {{head, sizeof head}, {(void *)data, length}};
  ssize_t wanted = (ssize_t)(sizeof head + length);
  if (syscall(SYS_writev, journal, parts, length ? 2 : 1) != wanted) die("the journal cannot be written");
  count_step(operation, data, length);
}

static void note_open(int fd, const char *path, int flags, int existed, off_t size_before) {
  if (fd >= FD_MAX) die("a descriptor is too large");
  struct stat status;
  if (fstat(fd, &status) != 0) return;
  if (S_ISDIR(status.st_mode)) {
    free(directory_of[fd]);
    directory_of[fd] = strdup(path);
    file_of[fd] = 0;
    return;
  }
  if ((flags & O_ACCMODE) == O_RDONLY) return;
  uint64_t how = (existed ? 0 : 1) | (((flags & O_TRUNC) && size_before > 0) ? 2 : 0);
  file_of[fd] = next_file++;
  record('O', file_of[fd], how, path, strlen(path));
}

static int open_at(int directory, const char *path, int flags, mode_t mode) {
  if (!is_active() || directory != AT_FDCWD || !is_watched(path))
    return (int)syscall(SYS_openat, directory, path, flags, mode);
  pthread_mutex_lock(&lock);
  struct stat before;
  int existed = stat(path, &before) == 0;
  int fd = (int)syscall(SYS_openat, directory, path, flags, mode);
  int failure = errno;
  if (fd >= 0) note_open(fd, path, flags, existed, existed ? before.st_size : 0);
  pthread_mutex_unlock(&lock);
  errno = failure;
  return fd;
}

#define WITH_MODE(flags, mode)                 \
  mode_t mode = 0;                             \
  if ((flags) & (O_CREAT | O_TMPFILE)) {       \
    va_list rest;                              \
    va_start(rest, flags);                     \
    mode = (mode_t)va_arg(rest, int);          \
    va_end(rest);                              \
  }

int open(const char *path, int flags, ...) {
  WITH_MODE(flags, mode)
  return open_at(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
  WITH_MODE(flags, mode)
  return open_at(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}
int openat(int directory, const char *path, int flags, ...) {
  WITH_MODE(flags, mode)
  return open_at(directory, path, flags, mode);
}
int openat64(int directory, const char *path, int flags, ...) {
  WITH_MODE(flags, mode)
  return open_at(directory, path, flags | O_LARGEFILE, mode);
}
int creat(const char *path, mode_t mode) { return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

static uint32_t file_at(int fd) { return fd >= 0 && fd < FD_MAX && journal >= 0 ? file_of[fd] : 0; }

int close(int fd) {
  if (fd >= 0 && fd < FD_MAX && (file_of[fd] || directory_of[fd])) {
    pthread_mutex_lock(&lock);
    file_of[fd] = 0;
    free(directory_of[fd]);
    directory_of[fd] = NULL;
    pthread_mutex_unlock(&lock);
  }
  return (int)syscall(SYS_close, fd);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
  uint32_t file = file_at(fd);
  if (!file) return syscall(SYS_pwrite64, fd, data, length, offset);
  pthread_mutex_lock(&lock);
  ssize_t written = syscall(SYS_pwrite64, fd, data, length, offset);
  int failure = errno;
  if (written > 0) record('W', file, (uint64_t)offset, data, (uint64_t)written);
  pthread_mutex_unlock(&lock);
  errno = failure;
  return written;
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

ssize_t write(int fd, const void *data, size_t length) {
  uint32_t file = file_at(fd);
  if (!file) return syscall(SYS_write, fd, data, length);
  pthread_mutex_lock(&lock);
  int appends = fcntl(fd, F_GETFL) & O_APPEND;
  off_t offset = lseek(fd, 0, appends ? SEEK_END : SEEK_CUR);
  ssize_t written = syscall(SYS_write, fd, data, length);
  int failure = errno;
  if (written > 0) record('W', file, (uint64_t)offset, data, (uint64_t)written);
  pthread_mutex_unlock(&lock);
  errno = failure;
  return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  if (file_at(fd)) die("writev to a watched file is not recorded");
  return syscall(SYS_writev, fd, parts, count);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  if (file_at(fd)) die("pwritev to a watched file is not recorded");
  return syscall(SYS_pwritev, fd, parts, count, offset, 0);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
  return pwritev(fd, parts, count, offset);
}

int ftruncate64(int fd, off64_t length) {
  uint32_t file = file_at(fd);
  if (!file) return (int)syscall(SYS_ftruncate, fd, length);
  pthread_mutex_lock(&lock);
  int result = (int)syscall(SYS_ftruncate, fd, length);
  int failure = errno;
  if (result == 0) record('T', file, (uint64_t)length, NULL, 0);
  pthread_mutex_unlock(&lock);
  errno = failure;
  return result;
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

/* The record follows the sync: a kill between the two leaves the writes undecided, and nobody was told otherwise. */
static int synced(int fd, long call) {
  uint32_t file = file_at(fd);
  int is_directory = fd >= 0 && fd < FD_MAX && directory_of[fd] != NULL;
  if (!file && !is_directory) return (int)syscall(call, fd);
  pthread_mutex_lock(&lock);
  /* The harness decides what survives, not this machine's disk: a real sync would only cost time. */
  if (file) record('S', file, 0, NULL, 0);
  else record('D', 0, 0, directory_of[fd], strlen(directory_of[fd]));
  pthread_mutex_unlock(&lock);
  return 0;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

int rename(const char *from, const char *to) {
  if (!is_active() || !is_watched(from)) return (int)syscall(SYS_rename, from, to);
  pthread_mutex_lock(&lock);
  int result = (int)syscall(SYS_rename, from, to);
  int failure = errno;
  if (result == 0) {
    char both[2 * PATH_BYTES];
    int length = snprintf(both, sizeof both, "%s%c%s", from, 0, to);
    record('R', 0, 0, both, (uint64_t)length);
  }
  pthread_mutex_unlock(&lock);
  errno = failure;
  return result;
}

int unlink(const char *path) {
  if (!is_active() || !is_watched(path)) return (int)syscall(SYS_unlink, path);
  pthread_mutex_lock(&lock);
  int result = (int)syscall(SYS_unlink, path);
  int failure = errno;
  if (result == 0) record('U', 0, 0, path, strlen(path));
  pthread_mutex_unlock(&lock);
  errno = failure;
  return result;
}
