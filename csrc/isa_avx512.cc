#define SUNHWAN_ISA_NAME "avx512"
#define SUNHWAN_ISA_NAMESPACE avx512
#define SUNHWAN_LANES 16
#include "generic/isa.h"
