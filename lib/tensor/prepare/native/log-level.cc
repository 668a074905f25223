// Compiled into the binding: the C++ side of TF_CPP_MIN_LOG_LEVEL. TensorFlow since 2.17 logs through Abseil, which a program
// has to configure in code; where nobody does, everything goes to stderr, in a notebook too.
#include <cstdlib>

#include "absl/base/log_severity.h"
#include "absl/log/globals.h"

namespace {

__attribute__((constructor)) void ApplyLogLevel() {
  const char* text = std::getenv("TF_CPP_MIN_LOG_LEVEL");
  // 0: everything, 1: no information, 2: no warnings either, 3: no errors either.
  const int level = text == nullptr ? 0 : std::atoi(text);
  if (level >= 1 && level <= 3) {
    absl::SetMinLogLevel(static_cast<absl::LogSeverityAtLeast>(level));
  }
}

}  // namespace
