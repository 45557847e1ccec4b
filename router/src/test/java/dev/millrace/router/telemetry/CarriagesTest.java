package dev.millrace.router.telemetry;

import static org.assertj.core.api.Assertions.assertThat;

import dev.millrace.router.http.MetricsText;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class CarriagesTest {
  private final Carriages carriages = new Carriages();

  private MetricsText page() {
    byte[] text = carriages.text().getBytes(StandardCharsets.UTF_8);
    return new MetricsText(text, text.length);
  }

  /** Values of the samples with a label, in the order of the page. */
  private List<Double> values(String name, String label, String value) {
    return page().samples(name).stream()
        .filter(sample -> sample.label(label).equals(Optional.of(value)))
        .map(MetricsText.Sample::value)
        .toList();
  }

  @Test
  void nothingYet_familiesAreNamedAndHaveNoSamples() {
    assertThat(carriages.text().lines())
        .hasSize(6)
        .allMatch(line -> line.startsWith("# "))
        .contains(
            "# TYPE millrace_carriage_seconds histogram",
            "# TYPE millrace_carriage_bytes_total counter",
            "# TYPE millrace_carriages_failed_total counter");
  }

  @Test
  void brought_bucketsAreCumulativeAndBoundsBelongToTheirBucket() {
    carriages.brought("relayed", 100, Duration.ofMillis(1));
    carriages.brought("relayed", 20, Duration.ofMillis(30));
    carriages.brought("relayed", 3, Duration.ofSeconds(20));

    assertThat(values("millrace_carriage_seconds_bucket", "way", "relayed"))
        .containsExactly(1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 3.0);
    assertThat(values("millrace_carriage_seconds_bucket", "le", "0.05")).containsExactly(2.0);
    assertThat(values("millrace_carriage_seconds_bucket", "le", "+Inf")).containsExactly(3.0);
    assertThat(values("millrace_carriage_seconds_sum", "way", "relayed")).containsExactly(20.031);
    assertThat(values("millrace_carriage_seconds_count", "way", "relayed")).containsExactly(3.0);
    assertThat(values("millrace_carriage_bytes_total", "way", "relayed")).containsExactly(123.0);
  }

  @Test
  void ways_areCountedApart() {
    carriages.brought("relayed", 100, Duration.ofMillis(1));
    carriages.brought("bridged", 0, Duration.ofMillis(2));

    assertThat(values("millrace_carriage_seconds_count", "way", "relayed")).containsExactly(1.0);
    assertThat(values("millrace_carriage_bytes_total", "way", "bridged")).containsExactly(0.0);
  }

  @Test
  void failed_isCountedByWayAndReason() {
    carriages.failed("relay", "memory_full");
    carriages.failed("relay", "memory_full");
    carriages.failed("relay", "no_agent");
    carriages.failed("bridge", "no_agent");

    assertThat(values("millrace_carriages_failed_total", "reason", "memory_full"))
        .containsExactly(2.0);
    assertThat(values("millrace_carriages_failed_total", "reason", "no_agent"))
        .containsExactly(1.0, 1.0);
    assertThat(values("millrace_carriages_failed_total", "way", "bridge")).containsExactly(1.0);
  }
}
