package dev.millrace.bench;

import dev.millrace.router.http.SecretFilter;
import dev.millrace.router.http.StreamHead;
import io.vertx.core.buffer.Buffer;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** What the router does with the events of a stream, sockets aside. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 2,
    jvmArgs = {"-Xmx512m", "-XX:+UseSerialGC", "--sun-misc-unsafe-memory-access=allow"})
public class StreamBenchmark {
  private static final String EVENT =
      "data:"
          + " {\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion.chunk\",\"created\":1763726400,\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{%s},\"logprobs\":null,\"finish_reason\":null}]}\n\n";

  private final Buffer role =
      Buffer.buffer(EVENT.formatted("\"role\":\"assistant\",\"content\":\"\""));
  private final Buffer token = Buffer.buffer(EVENT.formatted("\"content\":\" token\""));
  private final SecretFilter filter = new SecretFilter();

  /** An event on its way to the client: nothing secret in it. */
  @Benchmark
  public Buffer relay() {
    return filter.pass(token);
  }

  /** A chat's first two events: only the second says something. */
  @Benchmark
  public Buffer head() {
    StreamHead head = new StreamHead();
    head.feed(role);
    head.feed(token);
    return head.held();
  }
}
