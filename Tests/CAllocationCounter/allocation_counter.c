#define _GNU_SOURCE
#include "allocation_counter.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// The real allocator of glibc.
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

enum { kept = 12, depth = 24 };

// Thread-local, because tests run next to each other in one process.
static _Thread_local int is_counting;
static _Thread_local long count;
static _Thread_local void *origins[kept][depth];
static _Thread_local int depths[kept];

static inline __attribute__((always_inline)) void note(void) {
  if (!is_counting) return;
  is_counting = 0;
  if (count < kept) depths[count] = backtrace(origins[count], depth);
  count += 1;
  is_counting = 1;
}

void *malloc(size_t size) {
  note();
  return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
  note();
  return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
  note();
  return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
  note();
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  note();
  return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
  note();
  if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0) return EINVAL;
  void *memory = __libc_memalign(alignment, size);
  if (memory == NULL) return ENOMEM;
  *result = memory;
  return 0;
}

void *mmap(void *address, size_t length, int protection, int flags, int descriptor, off_t offset) {
  note();
  return (void *)syscall(SYS_mmap, address, length, protection, flags, descriptor, offset);
}

void allocation_counter_start(void) {
  // The first backtrace loads a library, which allocates.
  void *frame;
  backtrace(&frame, 1);
  count = 0;
  is_counting = 1;
}

long allocation_counter_stop(void) {
  is_counting = 0;
  return count;
}

const char *allocation_counter_origins(void) {
  static _Thread_local char text[1 << 16];
  size_t used = 0;
  text[0] = 0;
  for (int i = 0; i < kept && i < count; i += 1) {
    // The innermost frame is the counter's own.
    for (int j = 1; j < depths[i] && used + 512 < sizeof text; j += 1) {
      Dl_info info;
      int known = dladdr(origins[i][j], &info) != 0;
      size_t offset = (size_t)origins[i][j] - (known ? (size_t)info.dli_fbase : 0);
      used += (size_t)snprintf(text + used, 256, "%.200s+0x%zx\n", known ? info.dli_fname : "?", offset);
    }
    used += (size_t)snprintf(text + used, 2, "\n");
  }
  return text;
}
