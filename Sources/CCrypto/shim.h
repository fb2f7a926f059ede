// Makes OpenSSL's digests visible to Swift.
#pragma once
#include <openssl/evp.h>
