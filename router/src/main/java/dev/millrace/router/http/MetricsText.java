package dev.millrace.router.http;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * A page of metrics in Prometheus' text format. Read line by line as it is asked for: such a page
 * has hundreds of samples, of which a handful matter.
 */
public final class MetricsText {
  private final byte[] text;
  private final int length;
  private final Predicate<Sample> passing;

  /**
   * One sample.
   *
   * @param labels what stands in braces, as it stands there; empty if there are none
   * @param value NaN if it cannot be read
   */
  public record Sample(String labels, double value) {
    /** The value of a label. */
    public Optional<String> label(String name) {
      String start = name + "=\"";
      int at = labels.startsWith(start) ? 0 : labels.indexOf("," + start) + 1;
      if (at == 0 && !labels.startsWith(start)) {
        return Optional.empty();
      }
      int from = at + start.length();
      int to = labels.indexOf('"', from);
      return to < 0 ? Optional.empty() : Optional.of(labels.substring(from, to));
    }
  }

  /** The bytes {@code [0, length)} of a page. */
  public MetricsText(byte[] text, int length) {
    this(text, length, sample -> true);
  }

  private MetricsText(byte[] text, int length, Predicate<Sample> passing) {
    this.text = text;
    this.length = length;
    this.passing = passing;
  }

  /** Only the samples that have no such label, or this value of it. */
  public MetricsText where(String label, String value) {
    return new MetricsText(
        text, length, sample -> sample.label(label).map(value::equals).orElse(true));
  }

  /** All samples of a name, in the order of the page. */
  public List<Sample> samples(String name) {
    byte[] wanted = name.getBytes(StandardCharsets.US_ASCII);
    List<Sample> found = new ArrayList<>();
    for (int from = 0; from < length; ) {
      int to = from;
      while (to < length && text[to] != '\n') {
        to++;
      }
      if (isSample(from, to, wanted)) {
        Sample sample = sample(from + wanted.length, to);
        if (passing.test(sample)) {
          found.add(sample);
        }
      }
      from = to + 1;
    }
    return found;
  }

  /** The sum over all samples of a name; empty if there are none, or one cannot be read. */
  public Optional<Double> sum(String name) {
    List<Sample> samples = samples(name);
    double sum = samples.stream().mapToDouble(Sample::value).sum();
    return samples.isEmpty() || Double.isNaN(sum) ? Optional.empty() : Optional.of(sum);
  }

  private boolean isSample(int from, int to, byte[] name) {
    int end = from + name.length;
    return end < to
        && (text[end] == '{' || text[end] == ' ')
        && Arrays.equals(text, from, end, name, 0, name.length);
  }

  private Sample sample(int from, int to) {
    int space = to - 1;
    while (space > from && text[space] != ' ') {
      space--;
    }
    String labels =
        text[from] == '{' && text[Math.max(from, space - 1)] == '}'
            ? new String(text, from + 1, space - from - 2, StandardCharsets.UTF_8)
            : "";
    return new Sample(labels, number(space + 1, to));
  }

  private double number(int from, int to) {
    try {
      return Double.parseDouble(new String(text, from, to - from, StandardCharsets.US_ASCII));
    } catch (NumberFormatException e) {
      return Double.NaN;
    }
  }
}
