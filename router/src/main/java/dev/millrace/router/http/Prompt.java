package dev.millrace.router.http;

import java.util.ArrayList;
import java.util.List;

/**
 * Where a request's prompt stands in its body: the values of the members that engines make it of.
 *
 * <p>They come in the order in which templates render them, which is not always the body's: {@code
 * system}, {@code instructions} and {@code tools} before {@code prompt}, {@code messages}, {@code
 * input} and {@code prompt_embeds}. Nothing is copied.
 */
public final class Prompt {
  /** Takes a part of a prompt. */
  @FunctionalInterface
  public interface Reader {
    /** The bytes {@code [from, to)} of a text; the text must not be changed or kept. */
    void part(byte[] text, int from, int to);
  }

  private record Part(int from, int to) {}

  private final RequestBytes body;
  private final List<Part> parts = new ArrayList<>(2);
  private int rendersFirst;
  private long bytes;

  Prompt(RequestBytes body) {
    this.body = body;
  }

  /** Takes note of a member of the body's object. */
  void see(String name, int from, int to) {
    switch (name) {
      case "system", "instructions", "tools" -> parts.add(rendersFirst++, new Part(from, to));
      case "prompt", "messages", "input", "prompt_embeds" -> parts.add(new Part(from, to));
      default -> {
        return;
      }
    }
    bytes += to - from;
  }

  /** How many bytes it has, as it is spelt. */
  public long bytes() {
    return bytes;
  }

  /** Hands its parts over, one after the other. */
  public void read(Reader reader) {
    parts.forEach(part -> reader.part(body.get(), part.from, part.to));
  }
}
