package dev.millrace.router.http;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.buffer.Buffer;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

/** Parameters do not get through, whatever pieces the stream comes in; the rest does. */
final class SecretFilterTest {
  private static final String STREAM =
      """
      data: {"kv_transfer_params":null,"a":"\\"kv_transfer_params\\":{"}

      data: {""kv_transfer_params" : {"x":"]}\\"","y":[{}]} ,"b":["kv_transfer_param"]}

      data: {"kv_transfer_params":[[1]]}

      data: "kv_tr\
      """;
  private static final String SHOWN =
      """
      data: {"kv_transfer_params":null,"a":"\\"kv_transfer_params\\":{"}

      data: {""kv_transfer_params" : null ,"b":["kv_transfer_param"]}

      data: {"kv_transfer_params":null}

      data: "kv_tr\
      """;

  @Property
  void stream_isShownWithoutTheParametersHoweverItIsCut(
      @ForAll @Size(max = 20) List<@IntRange(min = 1, max = 40) Integer> sizes) {
    SecretFilter filter = new SecretFilter();
    Buffer shown = Buffer.buffer();
    Buffer stream = Buffer.buffer(STREAM);
    int at = 0;
    for (int size : sizes) {
      int to = Math.min(stream.length(), at + size);
      shown.appendBuffer(filter.pass(stream.getBuffer(at, to)));
      at = to;
    }
    shown.appendBuffer(filter.pass(stream.getBuffer(at, stream.length())));
    shown.appendBuffer(filter.rest());
    assertThat(shown.toString()).isEqualTo(SHOWN);
  }
}
