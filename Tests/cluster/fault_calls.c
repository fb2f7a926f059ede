/*
 * Kills a program before one of its calls that change files below a directory, or lets that call fail.
 *
 *   cc -shared -fPIC -o fault_calls.so fault_calls.c -ldl
 *   FAULT_DIR=/run/checkpoints FAULT_RANK=1 FAULT_AT=17 FAULT_CODE=28 LD_PRELOAD=./fault_calls.so program
 *
 * FAULT_AT   number of the call, counted from 1 over all threads; 0 or none strikes nothing
 * FAULT_CODE errno of the call that fails; 0 or none kills the process with SIGKILL
 * FAULT_RANK the rank under mpirun that is struck; none strikes any
 * FAULT_LOG  file to which each call is appended as a line "NUMBER NAME PATH"
 *
 * strace -e inject= can do the same, but counts for each thread apart, which gives a program that writes in a thread
 * for each checkpoint no numbers to name its calls by; it needs ptrace, and costs a run ten times as long.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

static long number(const char *variable) {
  const char *text = getenv(variable);
  return text ? atol(text) : 0;
}

static int is_struck_rank(void) {
  const char *wanted = getenv("FAULT_RANK"), *rank = getenv("OMPI_COMM_WORLD_RANK");
  return !wanted || strcmp(wanted, rank ? rank : "0") == 0;
}

static int is_inside(const char *path) {
  const char *directory = getenv("FAULT_DIR");
  size_t length = directory ? strlen(directory) : 0;
  return length > 0 && strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static void note(long call, const char *name, const char *path) {
  const char *log = getenv("FAULT_LOG");
  if (!log) return;
  char line[PATH_MAX + 64];
  int length = snprintf(line, sizeof line, "%ld %s %s\n", call, name, path);
  int file = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file < 0) return;
  if (REAL(write)(file, line, (size_t)length) < 0) abort();
  REAL(close)(file);
}

/* Whether the call on a path shall fail, with errno set; does not return if the process shall die. */
static int strikes(const char *name, const char *path) {
  if (!is_inside(path) || !is_struck_rank()) return 0;
  long call = ++calls;
  note(call, name, path);
  if (call != number("FAULT_AT")) return 0;
  if (number("FAULT_CODE") == 0) {
    kill(getpid(), SIGKILL);
    pause();
  }
  errno = (int)number("FAULT_CODE");
  return 1;
}

static int strikes_open_file(const char *name, int file) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return strikes(name, path);
}

static int is_written(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)); }

#define OPEN(name)                                                             \
  int name(const char *path, int flags, ...) {                                 \
    mode_t mode = 0;                                                           \
    if (flags & (O_CREAT | O_TMPFILE)) {                                       \
      va_list list;                                                            \
      va_start(list, flags);                                                   \
      mode = va_arg(list, mode_t);                                             \
      va_end(list);                                                            \
    }                                                                          \
    if (is_written(flags) && strikes(#name, path)) return -1;                  \
    return REAL(name)(path, flags, mode);                                      \
  }
OPEN(open)
OPEN(open64)

int mkdir(const char *path, mode_t mode) { return strikes("mkdir", path) ? -1 : REAL(mkdir)(path, mode); }
int rmdir(const char *path) { return strikes("rmdir", path) ? -1 : REAL(rmdir)(path); }
int unlink(const char *path) { return strikes("unlink", path) ? -1 : REAL(unlink)(path); }
int rename(const char *from, const char *to) { return strikes("rename", to) ? -1 : REAL(rename)(from, to); }
int fsync(int file) { return strikes_open_file("fsync", file) ? -1 : REAL(fsync)(file); }
int fdatasync(int file) { return strikes_open_file("fdatasync", file) ? -1 : REAL(fdatasync)(file); }

ssize_t write(int file, const void *bytes, size_t count) {
  return strikes_open_file("write", file) ? -1 : REAL(write)(file, bytes, count);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
  return strikes_open_file("pwrite", file) ? -1 : REAL(pwrite)(file, bytes, count, offset);
}

int ftruncate(int file, off_t length) {
  return strikes_open_file("ftruncate", file) ? -1 : REAL(ftruncate)(file, length);
}

/* A close that fails has closed the file nevertheless. */
int close(int file) {
  int flags = fcntl(file, F_GETFL);
  int fails = flags >= 0 && is_written(flags) && strikes_open_file("close", file), code = errno;
  int result = REAL(close)(file);
  if (!fails) return result;
  errno = code;
  return -1;
}
