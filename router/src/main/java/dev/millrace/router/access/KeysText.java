package dev.millrace.router.access;

import dev.millrace.router.telemetry.PrometheusText;
import java.util.Collection;

/** What clients have used, by the names of their keys, in Prometheus' text format. */
public final class KeysText {
  private KeysText() {}

  /** All of it; nothing where nobody is asked for a key. */
  public static String of(Keys keys) {
    Collection<Caller> callers = keys.callers();
    return callers.isEmpty()
        ? ""
        : new PrometheusText()
            .each(
                "millrace_key_refused_total",
                "counter",
                "Requests that were answered 429",
                callers,
                KeysText::labels,
                Caller::refused)
            .each(
                "millrace_key_tokens_total",
                "counter",
                "Tokens of prompts and answers, of keys that have a limit",
                callers.stream().filter(Caller::countsTokens).toList(),
                KeysText::labels,
                Caller::used)
            .toString();
  }

  private static String labels(Caller caller) {
    return PrometheusText.label("key", caller.name());
  }
}
