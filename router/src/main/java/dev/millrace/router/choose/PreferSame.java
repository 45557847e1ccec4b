package dev.millrace.router.choose;

import dev.millrace.config.Stage;
import dev.millrace.router.pools.Worker;
import java.util.List;
import java.util.Optional;

/**
 * The decode workers that are preferred for a prefill worker, by a label such as their zone.
 *
 * <p>{@code preferred(p) = {d ∈ D : label(d) = label(p) ∧ room(d)}}, or where that is empty {@code
 * {d ∈ D : room(d)}}; all of {@code D} if {@code p} has no such label. The {@link Room} is that of
 * an exchange whose worth is its own load. The decode stage's policy picks among them.
 */
final class PreferSame {
  private final Optional<String> label;
  private final int balancePercent;

  PreferSame(Stage decode) {
    this.label = decode.preferSame();
    this.balancePercent = decode.balancePercent();
  }

  List<Worker> preferred(Worker prefill, List<Worker> decode, Traits traits) {
    Optional<String> place = label.flatMap(prefill::label);
    if (place.isEmpty() || decode.isEmpty()) {
      return decode;
    }
    long own = decode.getFirst().loadOf(traits.promptBytes());
    Room room = Room.among(decode, balancePercent, own);
    List<Worker> able = decode.stream().filter(worker -> room.on(worker, own)).toList();
    List<Worker> near =
        able.stream().filter(worker -> label.flatMap(worker::label).equals(place)).toList();
    if (!near.isEmpty()) {
      return near;
    }
    // Loads change while they are looked at.
    return able.isEmpty() ? decode : able;
  }
}
