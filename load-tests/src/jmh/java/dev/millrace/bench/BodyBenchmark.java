package dev.millrace.bench;

import dev.millrace.router.handoff.Parameters;
import dev.millrace.router.http.Api;
import dev.millrace.router.http.ClientRequest;
import dev.millrace.router.http.ClientRequest.AtStop;
import dev.millrace.router.http.ClientRequest.TokenReuse;
import io.vertx.core.buffer.Buffer;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** What the router does with the bytes of one exchange, sockets aside. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 2,
    jvmArgs = {"-Xmx1g", "-XX:+UseSerialGC", "--sun-misc-unsafe-memory-access=allow"})
public class BodyBenchmark {
  private static final int BYTES_PER_BLOCK = 64;

  /** Text is as prose is; code has an escape in every line, and other alphabets no ASCII at all. */
  public enum Content {
    /** English. */
    PROSE("the router moves the blocks of a prompt and not its text "),
    /** Lines of source. */
    CODE("    if (at < to) {\\n      return \\\"found\\\";\\n    }\\n"),
    /** Three bytes a character. */
    CHINESE("路由器移动提示的块而不是它的文本");

    private final String words;

    Content(String words) {
      this.words = words;
    }
  }

  /** Of a chat's body. */
  @Param({"1", "16", "128", "400", "1000"})
  public int kilobytes;

  /** Of its message. */
  @Param({"PROSE", "CODE", "CHINESE"})
  public Content content = Content.PROSE;

  private byte[] body = {};
  private byte[] prefillAnswer = {};
  private Buffer parameters = Buffer.buffer();

  /** Makes a chat and a prefill answer that names the blocks of its prompt. */
  @Setup
  public void make() {
    int bytes = kilobytes * 1024;
    String words = content.words;
    String text = words.repeat(bytes / words.getBytes(StandardCharsets.UTF_8).length + 1);
    body =
        ("{\"model\":\"bench\",\"stream\":true,\"max_tokens\":64,\"temperature\":0.7,"
                + "\"messages\":[{\"role\":\"user\",\"content\":\""
                + text
                + "\"}]}")
            .getBytes(StandardCharsets.UTF_8);
    String ids =
        IntStream.range(0, bytes / BYTES_PER_BLOCK)
            .mapToObj(id -> String.valueOf(1000 + id))
            .collect(Collectors.joining(","));
    String object =
        "{\"do_remote_prefill\":true,\"do_remote_decode\":false,\"remote_block_ids\":[["
            + ids
            + "]],\"remote_engine_id\":\"e\",\"remote_request_id\":\"r\",\"remote_host\":\"127.0.0.1\","
            + "\"remote_port\":5600,\"tp_size\":1,\"remote_num_tokens\":4096}";
    prefillAnswer =
        ("{\"id\":\"x\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\""
                + " a\"}}],\"usage\":{\"prompt_tokens\":4096},\"kv_transfer_params\":"
                + object
                + "}")
            .getBytes(StandardCharsets.UTF_8);
    parameters = Buffer.buffer(object);
  }

  private ClientRequest classified() {
    return (ClientRequest) ClientRequest.read(Api.CHAT_COMPLETIONS, body, body.length);
  }

  /** From the body's bytes to what is known of it. */
  @Benchmark
  public ClientRequest classify() {
    return classified();
  }

  /** From the body's bytes to those of both legs. */
  @Benchmark
  public int classifyAndSplice() {
    ClientRequest request = classified();
    return request.prefillBody(AtStop.HANDS_OVER, TokenReuse.TEXTS).length()
        + request.decodeBody(parameters, null, TokenReuse.TEXTS).length();
  }

  /** From a prefill answer's bytes to the parameters in it. */
  @Benchmark
  public Object findParameters() {
    return Parameters.find(prefillAnswer, prefillAnswer.length);
  }
}
