package dev.millrace.conformance;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import dev.millrace.conformance.Plan.Planned;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** {@code OpenAiCases PLAN}: is told a case, a line, and says what came of it, a line. */
public final class OpenAiCases {
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  private OpenAiCases() {}

  /** Runs the cases that come by standard input. */
  public static void main(String[] arguments) throws Exception {
    JsonMapper json = JsonMapper.builder().build();
    Plan plan = json.readValue(Path.of(arguments[0]).toFile(), Plan.class);
    Checks checks = new Checks(plan, json);
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      Planned one = json.readValue(line, Planned.class);
      out.println("CASE " + json.writeValueAsString(failure(checks, one)));
    }
    // The client's threads would keep the process for a minute.
    System.exit(0);
  }

  /** Null if all is well. */
  private static @Nullable String failure(Checks checks, Planned one) {
    try {
      checks.check(one);
      return null;
    } catch (Exception | AssertionError e) {
      return e.toString();
    }
  }

  static OpenAIClient client(String url, Planned one) {
    return OpenAIOkHttpClient.builder()
        .baseUrl(url + "/v1")
        .apiKey("not-checked")
        .maxRetries(0)
        .timeout(PATIENCE)
        .putHeader("x-request-id", one.id())
        .build();
  }
}
