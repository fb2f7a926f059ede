// Makes OpenBLAS visible to Swift.
#pragma once
#include <cblas.h>
