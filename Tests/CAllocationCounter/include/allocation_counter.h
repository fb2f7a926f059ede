// Counts what the calling thread allocates, by standing in for malloc and its relatives in the whole test process.
#pragma once

/// Begins to count the allocations of the calling thread from zero.
void allocation_counter_start(void);

/// Stops counting and returns how many allocations there were; mappings of memory count too.
long allocation_counter_stop(void);

/// Where the first allocations counted last came from, as lines of "module+offset" from the innermost caller outwards, one
/// blank line between two allocations; for `addr2line -fe MODULE OFFSET`. Valid until the next call.
const char *allocation_counter_origins(void);
