package dev.millrace.router.choose;

import dev.millrace.config.EngineKind;
import dev.millrace.config.Pool;
import dev.millrace.config.Role;
import dev.millrace.config.WorkerAddress;
import dev.millrace.router.http.Api;
import dev.millrace.router.http.ClientRequest;
import dev.millrace.router.pools.Worker;
import io.vertx.core.MultiMap;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.IntStream;

/** Workers and requests to choose for. */
final class Samples {
  static final String SESSION_HEADER = "x-session-id";

  private Samples() {}

  static List<Worker> workers(Role role, int count) {
    List<WorkerAddress> addresses =
        IntStream.range(0, count)
            .mapToObj(i -> WorkerAddress.of(URI.create("http://10.0.0.1:" + (8000 + i))))
            .toList();
    Pool pool = Pool.of("p", role, "m", EngineKind.VLLM, addresses);
    return addresses.stream().map(address -> new Worker(pool, address, 0)).toList();
  }

  /** Workers with so many exchanges each. */
  static List<Worker> busy(List<Integer> reserved) {
    List<Worker> workers = workers(Role.DECODE, reserved.size());
    for (int i = 0; i < reserved.size(); i++) {
      for (int n = 0; n < reserved.get(i); n++) {
        workers.get(i).reserve(1);
      }
    }
    return workers;
  }

  static ClientRequest request(Api api, String body) {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    return ClientRequest.read(api, bytes, bytes.length) instanceof ClientRequest request
        ? request
        : fail(body);
  }

  private static ClientRequest fail(String body) {
    throw new AssertionError("not a request: " + body);
  }

  /** Of a completion with a prompt that needs no escapes. */
  static Traits prompt(String prompt) {
    String body = "{\"model\":\"m\",\"prompt\":\"%s\"}".formatted(prompt);
    return new Traits(request(Api.COMPLETIONS, body), MultiMap.caseInsensitiveMultiMap());
  }

  /** Of a request that names its session in a header. */
  static Traits session(String key, String prompt) {
    MultiMap headers = MultiMap.caseInsensitiveMultiMap().add(SESSION_HEADER, key);
    String body = "{\"model\":\"m\",\"prompt\":\"%s\"}".formatted(prompt);
    return new Traits(request(Api.COMPLETIONS, body), headers);
  }

  /** The same with a prompt that says nothing. */
  static Traits session(String key) {
    return session(key, "hello");
  }

  /** Of a request that names none. */
  static Traits anonymous() {
    return prompt("hello");
  }
}
