// Makes Open MPI visible to Swift. Its constants are cast macros, which Swift cannot import; each gets an accessor.
#pragma once
#include <mpi.h>

static inline MPI_Comm adalign_comm_world(void) { return MPI_COMM_WORLD; }
static inline MPI_Comm adalign_comm_null(void) { return MPI_COMM_NULL; }
static inline MPI_Info adalign_info_null(void) { return MPI_INFO_NULL; }
static inline MPI_Datatype adalign_type_byte(void) { return MPI_BYTE; }
static inline MPI_Datatype adalign_type_float(void) { return MPI_FLOAT; }
static inline MPI_Datatype adalign_type_double(void) { return MPI_DOUBLE; }
static inline MPI_Datatype adalign_type_int64(void) { return MPI_INT64_T; }
static inline MPI_Op adalign_op_sum(void) { return MPI_SUM; }
static inline MPI_Op adalign_op_min(void) { return MPI_MIN; }
static inline MPI_Op adalign_op_max(void) { return MPI_MAX; }
static inline MPI_Status *adalign_status_ignore(void) { return MPI_STATUS_IGNORE; }
static inline MPI_Status *adalign_statuses_ignore(void) { return MPI_STATUSES_IGNORE; }
static inline MPI_Request adalign_request_null(void) { return MPI_REQUEST_NULL; }
static inline void *adalign_in_place(void) { return MPI_IN_PLACE; }
static inline int adalign_set_errors_return(MPI_Comm comm) { return MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN); }
