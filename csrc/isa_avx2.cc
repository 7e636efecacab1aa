#define SUNHWAN_ISA_NAME "avx2"
#define SUNHWAN_ISA_NAMESPACE avx2
#define SUNHWAN_LANES 8
#include "generic/isa.h"
