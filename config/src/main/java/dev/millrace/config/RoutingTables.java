package dev.millrace.config;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;

/** Reads routing tables from YAML. Whatever the input, the answer is a table or complaints. */
public final class RoutingTables {
  private RoutingTables() {}

  /** Reads a file; complaints name it as it was given. */
  public static Loaded read(Path file) {
    String name = file.toString();
    byte[] bytes;
    try (InputStream in = Files.newInputStream(file)) {
      bytes = in.readNBytes(YamlText.MOST_CHARACTERS + 1);
    } catch (NoSuchFileException e) {
      return invalid(name, 1, 1, "there is no such file");
    } catch (AccessDeniedException e) {
      return invalid(name, 1, 1, "must not be read by this user: permission denied");
    } catch (IOException e) {
      return invalid(name, 1, 1, "cannot be read: " + e.getMessage());
    }
    // One character per byte at most, so that a text cut off here never decodes to more than fits.
    CharBuffer text = CharBuffer.allocate(bytes.length);
    CharsetDecoder utf8 = StandardCharsets.UTF_8.newDecoder();
    CoderResult result = utf8.decode(ByteBuffer.wrap(bytes), text, true);
    String decoded = text.flip().toString();
    if (result.isError() && bytes.length <= YamlText.MOST_CHARACTERS) {
      Place end = Place.after(decoded, decoded.length());
      return invalid(name, end.line(), end.column(), "is not UTF-8 from here on");
    }
    return parse(name, decoded);
  }

  /**
   * Reads a text.
   *
   * @param name what complaints call it
   * @param text YAML 1.2
   */
  public static Loaded parse(String name, String text) {
    Complaints complaints = new Complaints(name);
    return YamlText.compose(text, complaints)
        .map(root -> new RoutingTableReader(complaints).read(new Field("", root, complaints)))
        .orElseGet(complaints::invalid);
  }

  private static Loaded invalid(String name, int line, int column, String message) {
    return new Loaded.Invalid(List.of(new Complaint(name, line, column, "", message)));
  }
}
