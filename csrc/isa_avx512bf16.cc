#define SUNHWAN_ISA_NAME "avx512bf16"
#define SUNHWAN_ISA_NAMESPACE avx512bf16
#define SUNHWAN_LANES 16
#define SUNHWAN_BFLOAT16
#include "generic/isa.h"
