// Lies about the date, for clocks.sh: preloaded into a process, it shifts CLOCK_REALTIME by CLOCK_OFFSET seconds, and by
// as many the other way after every hundredth question. Other clocks are left alone.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long shift(void) {
  static long offset, asked;
  if (asked == 0) {
    const char *text = getenv("CLOCK_OFFSET");
    offset = text ? atol(text) : 0;
  }
  return __atomic_add_fetch(&asked, 1, __ATOMIC_RELAXED) / 100 % 2 ? -offset : offset;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int code = real(clock, now);
  if (code == 0 && clock == CLOCK_REALTIME) now->tv_sec += shift();
  return code;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec precise;
  (void)zone;
  int code = clock_gettime(CLOCK_REALTIME, &precise);
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return code;
}

time_t time(time_t *result) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (result) *result = now.tv_sec;
  return now.tv_sec;
}
