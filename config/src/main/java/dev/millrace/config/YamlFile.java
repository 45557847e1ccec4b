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

/** From a file to its text, or to the complaint that there is none. */
sealed interface YamlFile {
  /** What the file holds; a little too much of it if it holds too much. */
  record Text(String text) implements YamlFile {}

  /** Why it cannot be read. */
  record Unreadable(Complaint complaint) implements YamlFile {}

  /** Reads a file; complaints name it as it was given. */
  static YamlFile read(Path file) {
    String name = file.toString();
    if (Files.isDirectory(file)) {
      return unreadable(name, Place.START, "is a folder and cannot be read; name a file in it");
    }
    byte[] bytes;
    try (InputStream in = Files.newInputStream(file)) {
      bytes = in.readNBytes(YamlText.MOST_CHARACTERS + 1);
    } catch (NoSuchFileException e) {
      return unreadable(
          name,
          Place.START,
          "there is no such file; looked for " + file.toAbsolutePath().normalize());
    } catch (AccessDeniedException e) {
      return unreadable(
          name,
          Place.START,
          "must not be read by this user: permission denied; change its mode or its owner");
    } catch (IOException e) {
      return unreadable(name, Place.START, "cannot be read: " + e.getMessage());
    }
    // One character per byte at most, so that a text cut off here never decodes to more than fits.
    CharBuffer text = CharBuffer.allocate(bytes.length);
    CharsetDecoder utf8 = StandardCharsets.UTF_8.newDecoder();
    CoderResult result = utf8.decode(ByteBuffer.wrap(bytes), text, true);
    String decoded = text.flip().toString();
    if (result.isError() && bytes.length <= YamlText.MOST_CHARACTERS) {
      return unreadable(
          name,
          Place.after(decoded, decoded.length()),
          "is not UTF-8 from here on; save it as UTF-8");
    }
    return new Text(decoded);
  }

  private static YamlFile unreadable(String name, Place place, String message) {
    return new Unreadable(new Complaint(name, place.line(), place.column(), "", message));
  }
}
