package dev.millrace.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.json.JsonObject;
import org.junit.jupiter.api.Test;

class WaterfallTextTest {
  @Test
  void parts_beginWhereTheOnesBeforeEnd() {
    JsonObject parts = new JsonObject().put("queue", 1.0).put("retries", 0.0).put("p", 3.0);
    JsonObject unknown = new JsonObject().put("bytes", "unknown").put("why", "nobody asked");
    JsonObject waterfall =
        new JsonObject().put("parts_ms", parts).put("total_ms", 4.0).put("transfer", unknown);

    assertThat(WaterfallText.of(waterfall).lines())
        .containsExactly(
            "  queue                      1.00 ms  " + "█".repeat(10),
            "  p                          3.00 ms  " + " ".repeat(10) + "█".repeat(30),
            "  total                      4.00 ms",
            "  the decode engine's reads are unknown: nobody asked");
  }

  @Test
  void transfer_isWhatTheDecodeEngineReports() {
    JsonObject read = new JsonObject().put("bytes", 65_536).put("seconds", 0.0125);
    JsonObject waterfall =
        new JsonObject().put("parts_ms", new JsonObject()).put("total_ms", 0).put("transfer", read);

    assertThat(WaterfallText.of(waterfall))
        .contains("the decode engine reports 65536 bytes read in 12.50 ms");
  }
}
