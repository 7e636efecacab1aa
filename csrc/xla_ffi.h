// The handlers that XLA calls, by the name under which Python registers them.
#pragma once

#include "xla/ffi/api/c_api.h"

extern "C" {
XLA_FFI_Error* sunhwan_forward(XLA_FFI_CallFrame* frame);
XLA_FFI_Error* sunhwan_backward(XLA_FFI_CallFrame* frame);
XLA_FFI_Error* sunhwan_embedding_lookup(XLA_FFI_CallFrame* frame);
XLA_FFI_Error* sunhwan_embedding_gradient(XLA_FFI_CallFrame* frame);
}
