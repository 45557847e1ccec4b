package dev.millrace.cli;

import java.io.IOException;
import java.io.InputStream;
import java.util.Properties;
import picocli.CommandLine.IVersionProvider;

/** The version that the build wrote into {@code version.properties}. */
final class VersionText implements IVersionProvider {
  /** The version alone. */
  static String number() throws IOException {
    Properties properties = new Properties();
    try (InputStream in = VersionText.class.getResourceAsStream("version.properties")) {
      if (in != null) {
        properties.load(in);
      }
    }
    return properties.getProperty("version", "of unknown version");
  }

  @Override
  public String[] getVersion() throws IOException {
    return new String[] {
      "millrace %s (Java %s, %s %s)"
          .formatted(
              number(),
              Runtime.version().feature(),
              System.getProperty("os.name"),
              System.getProperty("os.arch"))
    };
  }
}
