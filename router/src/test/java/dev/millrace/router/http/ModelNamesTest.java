package dev.millrace.router.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.buffer.Buffer;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

/** The engines' name of a model does not get through, the client's does; the rest stays. */
final class ModelNamesTest {
  private static final String STREAM =
      """
      data: {"id":"x","model":"llama","choices":[{"text":"\\"model\\":\\"llama\\""}]}

      data: {"response":{"model" : "llama","of":["model","llama"]},"model":"llama-2","a":"model"}

      data: {"model":null,"models":"llama","model":"llam\\u00e9","xmodel":"llama"}

      data: {"model":"llama"}{"model":"lla\
      """;

  private static final String SHOWN =
      STREAM
          .replace("\"x\",\"model\":\"llama\"", "\"x\",\"model\":\"a \\\"b\\\"\"")
          .replace("\"model\" : \"llama\"", "\"model\" : \"a \\\"b\\\"\"")
          .replace("{\"model\":\"llama\"}", "{\"model\":\"a \\\"b\\\"\"}");

  @Property
  void stream_hasTheClientsNameHoweverItIsCut(
      @ForAll @Size(max = 60) List<@IntRange(min = 1, max = 20) Integer> sizes) {
    ModelNames names = new ModelNames("llama", "a \"b\"");
    Buffer shown = Buffer.buffer();
    Buffer stream = Buffer.buffer(STREAM);
    int at = 0;
    for (int size : sizes) {
      int to = Math.min(stream.length(), at + size);
      shown.appendBuffer(names.pass(stream.getBuffer(at, to)));
      at = to;
    }
    shown.appendBuffer(names.pass(stream.getBuffer(at, stream.length())));
    shown.appendBuffer(names.rest());
    assertThat(shown.toString()).isEqualTo(SHOWN);
  }

  @Test
  void whole_isAllOfIt() {
    assertThat(new ModelNames("llama", "a \"b\"").whole(Buffer.buffer(STREAM)).toString())
        .isEqualTo(SHOWN);
  }

  @Test
  void endlessWhiteSpace_isNotHeldBack() {
    ModelNames names = new ModelNames("llama", "b");

    assertThat(names.pass(Buffer.buffer("\"model\":" + " ".repeat(1000))).length()).isEqualTo(1008);
  }
}
