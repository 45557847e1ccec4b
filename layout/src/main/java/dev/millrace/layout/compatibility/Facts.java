package dev.millrace.layout.compatibility;

import java.util.Optional;

/** Whatever can be asked for facts. */
@FunctionalInterface
interface Facts {
  <T> Optional<T> value(Fact<T> fact);
}
