// Puts the class Stream into the extension module.
#pragma once

#include <nanobind/nanobind.h>

void bind_stream(nanobind::module_& module);
