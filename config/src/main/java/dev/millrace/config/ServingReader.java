package dev.millrace.config;

import dev.millrace.config.AgentConfig.Serving;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Reads an agent's {@code side-channel}: where it listens for decode engines, and for which. It is
 * closed unless it is written down, and there is no default for who may ask: neither vLLM's side
 * channel nor NIXL knows authentication.
 */
final class ServingReader {
  static final String DEFAULT_HOST = "127.0.0.1";
  static final Pattern PORTS = Pattern.compile("\\s*(\\d{1,5})\\s*(?:-\\s*(\\d{1,5})\\s*)?");
  static final Ports DEFAULT_PORTS = new Ports(7410, 7473);

  /** Ports from the first to the last. */
  record Ports(int first, int last) {
    @Override
    public String toString() {
      return first + "-" + last;
    }
  }

  private record Listening(String host, Ports ports) {}

  private ServingReader() {}

  static Optional<Serving> read(Section section, long engineBytes) {
    Listening listening =
        section
            .find("listen")
            .flatMap(Field::section)
            .map(ServingReader::listening)
            .orElse(new Listening(DEFAULT_HOST, DEFAULT_PORTS));
    String advertised = section.find("advertise").flatMap(Field::host).orElse(listening.host());
    if (advertised.equals("0.0.0.0") || advertised.equals("::")) {
      section
          .find("listen")
          .ifPresent(field ->
              field.complain(
                  "decode engines cannot connect to %s: say in side-channel.advertise where they reach this machine"
                      .formatted(advertised)));
    }
    List<AddressRange> readers = new ArrayList<>();
    section
        .require("readers", "a list of the decode engines' addresses, such as 10.0.0.0/8")
        .flatMap(Field::items)
        .orElse(List.of())
        .forEach(item -> range(item).ifPresent(readers::add));
    section.refuseOtherKeys();
    return readers.isEmpty()
        ? Optional.empty()
        : Optional.of(
            new Serving(
                listening.host(),
                advertised,
                listening.ports().first(),
                listening.ports().last(),
                readers,
                engineBytes));
  }

  private static Listening listening(Section listen) {
    String host = listen.find("host").flatMap(Field::host).orElse(DEFAULT_HOST);
    Ports ports = listen.find("ports").flatMap(ServingReader::ports).orElse(DEFAULT_PORTS);
    listen.refuseOtherKeys();
    return new Listening(host, ports);
  }

  private static Optional<Ports> ports(Field field) {
    return field.text().flatMap(text -> portsOf(field, text));
  }

  private static Optional<Ports> portsOf(Field field, String text) {
    Matcher matcher = PORTS.matcher(text);
    if (matcher.matches()) {
      int first = Integer.parseInt(matcher.group(1));
      int last = matcher.group(2) == null ? first : Integer.parseInt(matcher.group(2));
      if (first <= last && last <= 65535) {
        return Optional.of(new Ports(first, last));
      }
    }
    return field.refuse(wrongPorts(text));
  }

  private static String wrongPorts(String text) {
    return "\"%s\" is no port and no range of ports, such as 7410-7473".formatted(text);
  }

  private static Optional<AddressRange> range(Field item) {
    return item.text()
        .flatMap(text -> {
          try {
            return Optional.of(AddressRange.parse(text));
          } catch (IllegalArgumentException e) {
            return item.refuse(String.valueOf(e.getMessage()));
          }
        });
  }
}
