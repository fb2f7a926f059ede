// Makes OpenBLAS visible to Swift.
#pragma once
#include <cblas.h>

// LAPACK 3.7 or newer, which OpenBLAS holds; its own header is not always installed with it.
void dsyevr_(const char *jobz, const char *range, const char *uplo, const blasint *n, double *a, const blasint *lda,
             const double *vl, const double *vu, const blasint *il, const blasint *iu, const double *abstol,
             blasint *m, double *w, double *z, const blasint *ldz, blasint *isuppz, double *work,
             const blasint *lwork, blasint *iwork, const blasint *liwork, blasint *info);
