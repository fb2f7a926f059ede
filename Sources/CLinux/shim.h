// Calls of Linux that Swift's Glibc module leaves out.
#pragma once

// As <sys/mman.h> declares it under _GNU_SOURCE.
int memfd_create(const char *name, unsigned int flags);

enum { adalign_memfd_close_on_exec = 0x1U };
